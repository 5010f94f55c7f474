"""Whether this process was asked to stop: what takes long asks for it, keeps what it has, and leaves.

Only the process that was asked knows of it. Blocks in other processes (Dask workers, children of the guard) are finished.
"""

from __future__ import annotations

import threading

_asked = threading.Event()


def asked_to_stop() -> bool:
    """Whether the process was asked to stop."""
    return _asked.is_set()


def ask_to_stop() -> None:
    """Ask everything in this process to stop."""
    _asked.set()


def go_on() -> None:
    """Forget that anyone asked."""
    _asked.clear()
