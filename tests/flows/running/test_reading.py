"""Files of a source are read by as many task runs at once as there are workers, and none is waited for that was not begun."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import Future
from typing import Any, cast

import pytest

from flows.running.reading import in_a_window


@pytest.mark.parametrize("size", [1, 2, 5])
@pytest.mark.parametrize("begun", [0, 1, 2, 3, 7])
def test_those_that_were_begun_are_waited_for_and_no_more(size: int, begun: int) -> None:
    """A run that is stopped submits no further ones: ``begun`` of many."""
    flying: list[Future[int]] = []
    most = [0]

    def submissions() -> Iterator[Future[int]]:
        for number in range(begun):
            future: Future[int] = Future()
            flying.append(future)
            most[0] = max(most[0], sum(not one.done() for one in flying))
            threading.Timer(0.001, future.set_result, (number,)).start()
            yield future

    done = [future.result() for future in in_a_window(cast(Any, submissions()), size)]
    assert sorted(done) == list(range(begun))
    assert most[0] <= size
