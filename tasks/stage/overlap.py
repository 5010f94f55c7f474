"""Reading ahead and writing behind: one thread each, with a bounded number of items on the way."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from types import TracebackType
from typing import Any, TypeVar

Item = TypeVar("Item")


def prefetch(
    read: Callable[[int, Item], Any], items: Sequence[Item], ahead: int, start: int = 0
) -> Iterator[tuple[Item, Callable[[], Any]]]:
    """Each item with a function that gives ``read(number, item)``, or raises what that raised.

    Parameters
    ----------
    read : function of (number, item)
    items : sequence
    ahead : int
        How many items may be read before they are asked for; with 0 each is read when its function is called.
    start : int
        Number of the item to begin with.

    Yields
    ------
    (item, function of nothing)
    """
    if ahead == 0:
        for number, item in enumerate(items[start:], start):
            yield item, partial(read, number, item)
        return
    with ThreadPoolExecutor(1, thread_name_prefix="read") as pool:
        flying: deque[tuple[Item, Future[Any]]] = deque()
        try:
            for number, item in enumerate(items[start:], start):
                flying.append((item, pool.submit(read, number, item)))
                if len(flying) > ahead:
                    first, future = flying.popleft()
                    yield first, future.result
            while flying:
                first, future = flying.popleft()
                yield first, future.result
        finally:
            for _, future in flying:
                future.cancel()


class Background:
    """Runs functions in order on one thread, at most ``behind`` of them waiting; errors come out at a later call or the end."""

    def __init__(self, behind: int) -> None:
        self._behind = behind
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="write")
        self._waiting: deque[Future[None]] = deque()

    def __enter__(self) -> Background:
        return self

    def submit(self, function: Callable[..., None], *arguments: Any) -> None:
        """Run ``function(*arguments)`` after all that was submitted before; waits while too much is waiting."""
        while len(self._waiting) >= self._behind:
            self._waiting.popleft().result()
        self._waiting.append(self._pool.submit(function, *arguments))

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            if error is None:
                while self._waiting:
                    self._waiting.popleft().result()
        finally:
            self._pool.shutdown(cancel_futures=True)
