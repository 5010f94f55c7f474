"""What a check of the doctor is: a row with what was seen and what to do, and a probe that cannot end the others."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Literal

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


Probe = Callable[[], Iterable[Check]]


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
