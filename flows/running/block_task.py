"""The Prefect task of a block: a thread of the flow that has it made, here or on a worker, and waits."""

from __future__ import annotations

import errno
from collections.abc import Collection
from typing import Any, cast
from uuid import UUID

from prefect import get_run_logger, task
from prefect.client.schemas.objects import RunInput, State, TaskRunResult
from prefect.context import FlowRunContext
from prefect.futures import PrefectConcurrentFuture
from prefect.states import Completed, Crashed
from prefect.tasks import Task

from flows.running.workers import WorkerDied, Workers
from flows.telling.progress import Observer
from flows.telling.run_log import api_log
from flows.telling.tags import GPU, resources, untagged
from storage.receipts import Receipt
from tasks.stage.attempts.attempt import is_fault_of_code, make_block
from tasks.stage.attempts.stopping import Stopped
from tasks.stage.job import Job
from tasks.stage.kind import Stage

STOPPED = "Stopped"
"""Name of the state of a block that was left before its end because the run was asked to stop."""
DIED = "WorkerDied"
"""Name of the state of a block whose worker is gone: it crashed."""
LASTING = (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.ENOENT, errno.EROFS, errno.EINVAL, errno.EISDIR)

BlockTask = Task[..., Receipt | State[Receipt]]


def block_task(stage: Stage, workers: Workers, watching: Observer) -> BlockTask:
    """The Prefect task of one block of a stage, tried again when the store fails in passing.

    The receipt is the truth of whether a block exists, so nothing is kept or looked up by Prefect. What a block says on its way
    goes to Prefect's log of the task, and with the stage's key to ``watching``.
    """
    wanted = resources(stage)

    def make(job: Job) -> Receipt | State[Receipt]:
        log = api_log("prefect.task_runs.progress")

        def tell(line: str) -> None:
            log(line)
            watching.said(stage.key, line)

        try:
            return workers.call(make_block, job, tell=tell, needs_gpu=GPU in wanted)
        except Stopped as stopped:  # no failure, and what Prefect calls cancelled it logs as an error
            return Completed(name=STOPPED, message=str(stopped))
        except WorkerDied as died:
            return Crashed(name=DIED, message=str(died))
        except Exception as error:
            if is_fault_of_code(error):  # Prefect tells only its message
                get_run_logger().error("%s: %s", job.key, error, exc_info=True)
            raise

    return task(
        name=stage.kind.make.partition(":")[2],
        task_run_name="{job.stage.key} {job.block.name}",
        tags=sorted(workers.limits.intersection(wanted)),
        persist_result=False,
        retries=2,
        retry_delay_seconds=[1, 5],
        retry_jitter_factor=0.5,
        retry_condition_fn=passing_fault,
        log_prints=False,
    )(make)


@task(task_run_name="{stage} cached {blocks}", persist_result=False)
def cached_task(stage: str, blocks: int, after: None = None) -> State[None]:
    """Stands for the blocks of a stage that a run found finished."""
    return Completed(name="Cached", message=f"{blocks:,} blocks of {stage} are there: nothing of them changed")


@task(task_run_name="{stage} {panoramas}", persist_result=False)
def source_task(stage: str, panoramas: int, read: int, after: None = None) -> State[None]:
    """Stands for the panoramas of a source."""
    message = f"{panoramas:,} panoramas" + (f", of which {read:,} groups of files were read" if read else ", all read before")
    return Completed(name="Completed" if read else "Cached", message=message)


def submit(
    task: Task[..., Any], argument: str, parameters: dict[str, Any], after: Collection[UUID]
) -> PrefectConcurrentFuture[Any]:
    """Submit a task to the flow run that is going on; the task runs ``after`` are drawn as edges to its ``argument``.

    None of them is waited for: they are over.
    """
    context = FlowRunContext.get()
    assert context is not None, "tasks are submitted within a flow"
    edges: set[RunInput] = {TaskRunResult(id=one) for one in after}
    with untagged():
        runner = cast(Any, context.task_runner)
        future: PrefectConcurrentFuture[Any] = runner.submit(task, parameters, dependencies={argument: edges})
        return future


def passing_fault(_task: Any, _run: Any, state: Any) -> bool:
    """Whether a task failed because of a store that may be well again."""
    error = state.result(raise_on_failure=False)
    return isinstance(error, OSError) and error.errno not in LASTING
