"""Reading ahead of a training, by several threads and in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import Any


def ordered_map(function: Callable[[Any], Any], jobs: Iterable[Any], threads: int, ahead: int) -> Iterator[Any]:
    """Results in the order of the jobs, with ``threads`` at work on at most ``ahead`` jobs before they are asked for.

    What a job raises comes out in its turn. Leaving the loop early cancels what has not begun.
    """
    with ThreadPoolExecutor(threads, thread_name_prefix="train-read") as pool:
        flying: deque[Future[Any]] = deque()
        waiting = iter(jobs)
        try:
            flying.extend(pool.submit(function, job) for job in islice(waiting, max(ahead, 1)))
            while flying:
                result = flying.popleft().result()
                flying.extend(pool.submit(function, job) for job in islice(waiting, 1))
                yield result
        finally:
            for future in flying:
                future.cancel()
