"""How an end point is asked: as many requests at once as it bears, and again after a while where one failed in passing."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import parsedate_to_datetime
from functools import cache

FIRST_WAIT = 0.5
HALVED_FOR = 1.0
"""Seconds in which several refusals count as one: they are answers to what was sent at once."""


class Gate:
    """Lets so many through at once: half as many after a refusal, and slowly more again, up to ``most``."""

    def __init__(self, most: int) -> None:
        self._most, self._limit, self._inside, self._halved = most, float(most), 0, -HALVED_FOR
        self._free = threading.Condition()

    @property
    def limit(self) -> int:
        """How many may be inside now."""
        return int(self._limit)

    @contextmanager
    def inside(self) -> Iterator[None]:
        """Waits until there is room."""
        with self._free:
            self._free.wait_for(lambda: self._inside < self.limit)
            self._inside += 1
        try:
            yield
        finally:
            with self._free:
                self._inside -= 1
                self._free.notify_all()

    def refused(self) -> None:
        """Too many were inside."""
        with self._free:
            if time.monotonic() - self._halved >= HALVED_FOR:
                self._limit, self._halved = max(1.0, self._limit / 2), time.monotonic()

    def passed(self) -> None:
        """One was served."""
        with self._free:
            self._limit = min(float(self._most), self._limit + 1 / self._limit)
            self._free.notify_all()


@cache
def gate_of(_url: str, most: int) -> Gate:
    """The one gate of this process to an end point."""
    return Gate(most)


def wait_before(attempt: int, asked_for: str | None, longest: float) -> float:
    """Seconds to wait before a further try: full jitter over a span that doubles, after what ``Retry-After`` asks for.

    Parameters
    ----------
    attempt : int
        How many failed so far, from 1 on.
    asked_for : str or None
        The header: seconds or a date; anything else counts as absent.
    longest : float
    """
    jitter = random.uniform(0, min(longest, FIRST_WAIT * 2**attempt))
    return min(longest, _seconds(asked_for) + jitter)


def _seconds(asked_for: str | None) -> float:
    try:
        return max(0.0, float(asked_for or 0))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(asked_for or "").timestamp() - time.time())
    except ValueError:
        return 0.0
