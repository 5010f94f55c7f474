"""How a run ends that does not end well. Importing this loads nothing: whoever only tells of errors need not have Prefect."""

from __future__ import annotations

from collections.abc import Sequence


class Interrupted(RuntimeError):
    """The run was asked to stop and has drained; what is done stays done."""


class RunFailed(RuntimeError):
    """Blocks could not be made; the message names them, ``failures`` lists them all as (stage, block, message)."""

    def __init__(self, message: str, failures: Sequence[tuple[str, str, str]] = ()) -> None:
        super().__init__(message)
        self.failures = list(failures)
