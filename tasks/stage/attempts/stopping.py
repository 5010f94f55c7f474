"""Whether a run was asked to stop: what takes long asks for it, keeps what it has, and leaves.

The process that was asked knows at once. Blocks that others make for it (workers of Dask, children of the guard) look for a file
that the run leaves in the store.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from storage.urls import exists, join

LOOK_SECONDS = 3.0
"""Between two looks at the store."""
GRACE_SECONDS = 12.0
"""How long a block goes on that may be finished by then: workers of Prefect kill what is left half a minute after they asked."""


class _Asked(threading.Event):
    """Set once somebody asks; ``at`` is when, by a clock that only goes on."""

    at = 0.0

    def set(self) -> None:
        """Note that somebody asked; the first time counts."""
        self.at = self.at if self.is_set() else time.monotonic()
        super().set()


_asked = _Asked()
_block_asked: ContextVar[_Asked | None] = ContextVar("block_asked", default=None)


class Stopped(RuntimeError):
    """A block was left before its end since the run was asked to stop; what it goes on from is kept. This is no failure."""


def asked_to_stop() -> bool:
    """Whether this process, or the run of the block that is made here, was asked to stop."""
    block = _block_asked.get()
    return _asked.is_set() or (block is not None and block.is_set())


def out_of_time() -> bool:
    """Whether it was asked so long ago that what is in hand must be left."""
    asked = [one.at for one in (_asked, _block_asked.get()) if one is not None and one.is_set()]
    return bool(asked) and time.monotonic() - min(asked) > GRACE_SECONDS


def ask_to_stop() -> None:
    """Ask everything in this process to stop."""
    _asked.set()


def go_on() -> None:
    """Forget that anyone asked."""
    _asked.clear()


def stop_url(root: str, run: str) -> str:
    """The file that says to all who make blocks of a run that it was asked to stop."""
    return join(root, "stops", run)


@contextmanager
def heeding(root: str, run: str) -> Iterator[None]:
    """Within it, :func:`asked_to_stop` knows of the run's file; a thread looks for it, so that a slow store holds up nobody."""
    asked, over = _Asked(), threading.Event()

    def look() -> None:
        while not over.wait(LOOK_SECONDS):
            if _is_there(stop_url(root, run)):
                asked.set()
                return

    token = _block_asked.set(asked)
    threading.Thread(target=look, name="stop-look", daemon=True).start()
    try:
        yield
    finally:
        over.set()
        _block_asked.reset(token)


def _is_there(url: str) -> bool:
    try:
        return exists(url)
    except OSError:  # the next look may see more
        return False
