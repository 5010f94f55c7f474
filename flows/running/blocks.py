"""The blocks of one stage, submitted through a bounded window, and what becomes of those that fail."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from queue import SimpleQueue
from typing import Any, TypeVar

from prefect.futures import PrefectFuture

from flows.errors import Interrupted, RunFailed
from flows.running.drain import asked_to_stop
from flows.running.workers import Workers, died_with_its_worker, own_error
from flows.telling.artifacts import StageProgress
from flows.telling.progress import line_said, observer
from flows.telling.tags import GPU, resources, untagged
from storage.receipts import Receipt
from tasks.stage.job import Job
from tasks.stage.kind import Stage
from tasks.stage.prefect_task import STOPPED, Parcel, block_task

LEAST_TRIED = 20  # items, before a share of quarantined ones means anything
HOPELESS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES)

_Job = TypeVar("_Job")


def make_blocks(stage: Stage, jobs: Sequence[Job], workers: Workers, keep: Callable[[Receipt], None]) -> None:
    """Make the blocks of one stage within a Prefect flow run; ``keep`` is given the receipt of each.

    A block whose worker died is made again in a process of its own, which finds the item that kills.

    Raises
    ------
    RunFailed
        After all others are done, if any could not be made; at once, if going on makes no sense.
    Interrupted
        The run was asked to stop; what was submitted is finished, or left where the next run goes on.
    """
    made = _Tally(stage.key, jobs[0].execution.max_quarantined, StageProgress(stage.key, len(jobs)), keep)
    died = _make(stage, jobs, workers, made)
    if died and not made.stop:
        _make(stage, [replace(job, guarded=True) for job in died], workers, made)
    if asked_to_stop() or made.left:
        raise Interrupted("; ".join([f"stopped at stage {stage.key}", *made.left[:1], "what is done stays done"]))
    if made.failures:
        shown = "\n  ".join(f"{block}: {message}" for _, block, message in made.failures[:5])
        message = f"stage {stage.key}: {len(made.failures)} of {len(jobs)} blocks could not be made:\n  {shown}"
        raise RunFailed(message, made.failures)
    if made.stop:
        raise RunFailed(f"stage {stage.key}: {made.stop}")


class _Tally:
    """What came of the blocks so far; ``stop`` says why no more may be submitted, ``left`` what was left for the next run."""

    def __init__(self, stage: str, max_quarantined: float, progress: StageProgress, keep: Callable[[Receipt], None]) -> None:
        self.stage, self.max_quarantined, self.progress, self.keep = stage, max_quarantined, progress, keep
        self.failures: list[tuple[str, str, str]] = []
        self.left: list[str] = []
        self.stop = ""
        self.tried = self.quarantined = 0

    def done(self, receipt: Receipt) -> None:
        self.keep(receipt)
        own = [row for row in receipt.quarantined if not row.inherited]
        self.tried += len(receipt.items)
        self.quarantined += len(own)
        observer().items_done(self.stage, len(receipt.items), len(receipt.quarantined))
        self.progress.block_done()
        if self.tried >= LEAST_TRIED and self.quarantined > self.max_quarantined * self.tried:
            self.stop = (
                f"{self.quarantined} of {self.tried} items were given up, more than execution.max_quarantined = "
                f"{self.max_quarantined:g}; the last: {own[-1].item if own else '-'}: {own[-1].reason if own else '-'}"
            )

    def failed(self, job: Job, error: BaseException | None, message: str) -> None:
        self.failures.append((self.stage, job.block.name, message))
        if isinstance(error, OSError) and error.errno in HOPELESS:
            self.stop = message


def _make(stage: Stage, jobs: Sequence[Job], workers: Workers, made: _Tally) -> list[Job]:
    """Submit jobs and note what comes of them; returns those whose worker died."""
    wanted = resources(stage)
    task, died = block_task(stage.make, line_said).with_options(tags=workers.limits.intersection(wanted)), []

    def submissions() -> Iterator[tuple[Job, PrefectFuture[Any]]]:
        for job in jobs:
            if made.stop or made.left or asked_to_stop():
                return
            with workers.resources(GPU in wanted), untagged():
                future = task.submit(Parcel(job))
            yield job, future

    for job, future in in_a_window(submissions(), workers.window):
        if died_with_its_worker(future):
            if job.guarded:
                made.failed(job, None, "its worker died, also while the block had a process of its own")
            else:
                died.append(job)
            continue
        future.wait()
        state = future.state
        if state.name == STOPPED:
            made.left.append(state.message or "")
        elif state.is_completed():
            made.done(future.result())
        else:
            error = state.result(raise_on_failure=False) if state.is_final() else own_error(future)
            message = state.message if state.is_final() else f"its task ended as {state.name}: {error!r}"
            made.failed(job, error if isinstance(error, BaseException) else None, message or repr(error))
    return died


def in_a_window(submissions: Iterator[tuple[_Job, PrefectFuture[Any]]], size: int) -> Iterator[tuple[_Job, PrefectFuture[Any]]]:
    """Futures as they finish, with at most ``size`` in flight: memory and Prefect's load stay bounded."""
    finished: SimpleQueue[tuple[_Job, PrefectFuture[Any]]] = SimpleQueue()
    flying = 0
    for job, future in submissions:
        future.add_done_callback(partial(_put, finished, job))
        flying += 1
        if flying >= size:
            yield finished.get()
            flying -= 1
    for _ in range(flying):
        yield finished.get()


def _put(finished: SimpleQueue[tuple[_Job, PrefectFuture[Any]]], job: _Job, future: PrefectFuture[Any]) -> None:
    finished.put((job, future))
