"""What a block has to say while it is made, line by line, to whoever had it made: a log, a terminal, a parent process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

Tell = Callable[[str], None]


def _nobody(_line: str) -> None:
    return


_listener: ContextVar[Tell] = ContextVar("listener", default=_nobody)


def tell(line: str) -> None:
    """Say a line."""
    _listener.get()(line)


@contextmanager
def telling(to: Tell) -> Iterator[None]:
    """Within it, what is said goes there."""
    token = _listener.set(to)
    try:
        yield
    finally:
        _listener.reset(token)
