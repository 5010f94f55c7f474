"""Work on many scenes at once, each in a process of its own."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any, TypeVar

T = TypeVar("T")


def in_processes(work: Callable[..., T], jobs: Sequence[tuple[Any, ...]], processes: int | None = None) -> list[T]:
    """What ``work(*job)`` gives for each job, in their order; ``processes`` is as many as there are cores if it is None.

    ``work`` is a function of a module, or a ``partial`` of one. With one process or one job it runs in this one.
    """
    workers = min(processes or os.cpu_count() or 1, len(jobs))
    if workers <= 1:
        return [work(*job) for job in jobs]
    # Not forked: a child that inherits the ray caster's threads only by name waits for them for ever.
    with ProcessPoolExecutor(workers, get_context("spawn")) as pool:
        return list(pool.map(work, *zip(*jobs)))
