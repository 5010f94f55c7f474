"""Stopping in order: after the first Ctrl-C or SIGTERM nothing new is submitted, and what is in work is finished."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_asked = threading.Event()


class Interrupted(RuntimeError):
    """The run was asked to stop and has drained; what is done stays done."""


def asked_to_stop() -> bool:
    """Whether the process was asked to stop."""
    return _asked.is_set()


@contextmanager
def draining_on_signals() -> Iterator[None]:
    """Drain on the first SIGINT or SIGTERM; a second SIGINT interrupts at once. For the main thread only."""
    _asked.clear()

    def ask(_number: int, _frame: FrameType | None) -> None:
        if _asked.is_set():
            raise KeyboardInterrupt
        _asked.set()
        print("\nstopping: blocks in work are being finished; Ctrl-C again stops at once", file=sys.stderr)

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        _asked.clear()
