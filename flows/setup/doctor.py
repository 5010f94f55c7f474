"""Is this machine fit for a run? Checks that go on whatever the others find, each with what was seen and what to do."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any, NamedTuple

from flows.setup.checks import Check, guarded

if TYPE_CHECKING:
    from configs.pipeline import Config

LONG = 600.0
"""Seconds for what grows with the data: digests of weights, listings, plans."""


class Listed(NamedTuple):
    """A probe by name: a package that is broken must become a row, not the end of the command, so none is imported before."""

    name: str
    probe: str
    advice: str = ""
    seconds: float = 60.0

    def rows(self, *about: Any) -> list[Check]:
        """What it finds, asked about nothing or a config."""

        def probe() -> Iterable[Check]:
            return resolve_name(f"flows.setup.{self.probe}")(*about)

        return guarded(self.name, probe, self.advice, self.seconds)


OF_MACHINE = (
    Listed("packages", "machine:check_packages"),
    Listed("devices", "machine:check_devices"),
    Listed("proxy", "hub:check_proxies"),
    Listed("hub", "hub:check_hub", seconds=15),
    Listed("prefect", "machine:check_prefect"),
)
OF_CONFIG = (
    Listed("execution.device", "needs:check_device", "use execution.device: auto, or mend the driver"),
    Listed("gpus", "runner:check_gpus"),
    Listed("execution.runner", "runner:check_runner", "correct execution.runner, or start what it names", 120),
    Listed("weights", "needs:check_weights", seconds=LONG),
    Listed("source", "needs:check_source", "correct source.url, or the access to it", LONG),
    Listed("store", "store:check_store", "make `root` a place that this user may write to", LONG),
    Listed("disk", "store:check_disk", "the plan must be sound before its size can be told", LONG),
)
OF_TEACHERS = Listed("load", "teachers:check_teachers")


def diagnose(load: Callable[[], Config] | None = None, with_teachers: bool = False) -> list[Check]:
    """All checks of this machine, and of a config where one can be loaded.

    Parameters
    ----------
    load : callable, optional
        Gives the config; what it raises becomes a row.
    with_teachers : bool
        Load its teachers too, and let each look at one patch.
    """
    checks = [row for listed in OF_MACHINE for row in listed.rows()]
    if load is None:
        return checks
    loaded: list[Config] = []

    def read() -> Iterator[Check]:
        loaded.append(load())
        yield Check("config", "ok", f"{loaded[0].name}: {', '.join(entry.key for entry in loaded[0].stages)}")

    checks += guarded("config", read)
    wanted = (*OF_CONFIG, OF_TEACHERS) if with_teachers else OF_CONFIG
    return checks + [row for config in loaded for listed in wanted for row in listed.rows(config)]
