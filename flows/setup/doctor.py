"""Is this machine fit for a run? Checks that go on whatever the others find, each with what was seen and what to do."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from configs.pipeline import Config

State = Literal["ok", "warning", "failure"]


@dataclass(frozen=True)
class Check:
    """One row: what was checked, how it is, what was seen, and what to do about it."""

    name: str
    state: State
    seen: str
    advice: str = ""

    def as_json(self) -> dict[str, str]:
        """The row as JSON values."""
        return asdict(self)


LONG = 600.0
"""Seconds for what grows with the data: digests of weights, listings, plans."""

Probe = Callable[[], Iterable[Check]]


def diagnose(load: Callable[[], Config] | None = None, with_teachers: bool = False) -> list[Check]:
    """All checks of this machine, and of a config where one can be loaded.

    Parameters
    ----------
    load : callable, optional
        Gives the config; what it raises becomes a row.
    with_teachers : bool
        Load its teachers too, and let each look at one patch.
    """
    # Imported here, since a broken package must become a row, not the end of the command.
    checks = [
        *guarded("packages", lambda: _machine("check_packages")),
        *guarded("devices", lambda: _machine("check_devices")),
        *guarded("proxy", lambda: _hub("check_proxies")),
        *guarded("hub", lambda: _hub("check_hub"), seconds=15),
        *guarded("prefect", lambda: _machine("check_prefect")),
    ]
    if load is not None:
        loaded: list[Config] = []

        def read() -> Iterator[Check]:
            loaded.append(load())
            yield Check("config", "ok", f"{loaded[0].name}: {', '.join(entry.key for entry in loaded[0].stages)}")

        checks += guarded("config", read)
        for config in loaded:
            checks += _of_config(config)
            if with_teachers:
                checks += guarded("load", lambda config=config: _teachers(config))  # type: ignore[misc]
    return checks


def has_failed(checks: Iterable[Check]) -> bool:
    """Whether any check failed."""
    return any(check.state == "failure" for check in checks)


def guarded(name: str, probe: Probe, advice: str = "", seconds: float = 60.0) -> list[Check]:
    """The rows of a probe; what it raises, or that it is not done in time, becomes one more row, a failure of that name."""
    rows: list[Check] = []

    def work() -> None:
        try:
            rows.extend(probe())
        except BaseException as error:  # the environment is what is in doubt, so nothing about it is taken for granted
            text = str(error).strip() or type(error).__name__
            rows.append(Check(name, "failure", f"{type(error).__name__}: {text}"[:600], advice or "mend what the message names"))

    thread = threading.Thread(target=work, name=f"doctor: {name}", daemon=True)  # a dead disk or host may keep it for ever
    thread.start()
    thread.join(seconds)
    if not thread.is_alive():
        return rows
    waiting = f"no answer in {seconds:.0f} s; a disk, a server or a driver does not respond"
    return [*rows, Check(name, "failure", waiting, advice or "try what it asks by hand")]


def _machine(probe: str) -> Iterable[Check]:
    from flows.setup import machine as doctor_machine

    return getattr(doctor_machine, probe)()


def _teachers(config: Config) -> Iterable[Check]:
    from flows.setup import teachers as doctor_teachers

    return doctor_teachers.check_teachers(config)


def _hub(probe: str) -> Iterable[Check]:
    from flows.setup import hub as doctor_hub

    return getattr(doctor_hub, probe)()


def _of_config(config: Config) -> Iterator[Check]:
    def pipeline(probe: str) -> Iterable[Check]:
        from flows.setup import needs as doctor_pipeline

        return getattr(doctor_pipeline, probe)(config)

    def store(probe: str) -> Iterable[Check]:
        from flows.setup import store as doctor_store

        return getattr(doctor_store, probe)(config)

    def runner(probe: str) -> Iterable[Check]:
        from flows.setup import runner as doctor_runner

        return getattr(doctor_runner, probe)(config)

    yield from guarded("execution.device", lambda: pipeline("check_device"), "use execution.device: auto, or mend the driver")
    yield from guarded("gpus", lambda: runner("check_gpus"))
    yield from guarded(
        "execution.runner", lambda: runner("check_runner"), "correct execution.runner, or start what it names", 120
    )
    yield from guarded("weights", lambda: pipeline("check_weights"), seconds=LONG)
    yield from guarded("source", lambda: pipeline("check_source"), "correct source.url, or the access to it", LONG)
    yield from guarded("store", lambda: store("check_store"), "make `root` a place that this user may write to", LONG)
    yield from guarded("disk", lambda: store("check_disk"), "the plan must be sound before its size can be told", LONG)
