"""The main path: one flow run that brings a store to the state that a config asks for.

    ingest -> project -> label (one stage for each teacher) -> fuse -> evaluate -> report

Every stage is a subflow, every block a task run. What already has its receipt does not run.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Any

from prefect import flow, task
from prefect.futures import PrefectFuture
from prefect.states import State
from prefect.task_runners import ThreadPoolTaskRunner

from configs.schema import Config
from flows.plan import make_plan
from flows.progress import observer
from flows.record import RunRecord
from flows.report import write_run_report
from storage.manifest import Item
from tasks import ingest
from tasks.block import Job
from tasks.sources import Entry
from tasks.stages import Stage

FILES_PER_CHECK = 16


class RunFailed(RuntimeError):
    """Blocks could not be made; the message names them and how to go on."""


@flow(name="panolabel", flow_run_name="{run}", log_prints=False)
def pipeline(config: Config, run: str, retry_quarantined: bool = False) -> dict[str, Any]:
    """Run everything that a config owes, and return the record of the run.

    Parameters
    ----------
    config : Config
    run : str
        Name of the run in the ledger and in Prefect.
    retry_quarantined : bool
        Try quarantined items again.

    Raises
    ------
    RunFailed
        A stage could not finish; what is done stays done, and the next run goes on from there.
    """
    record = RunRecord(config, run)
    try:
        ingest_source(config, retry_quarantined)
        plan = make_plan(config, retry_quarantined)
        record.planned(plan)
        for stage in plan.definitions:
            owed = [block for block in plan.blocks if block.name in plan.owed[stage.name]]
            if owed:
                jobs = [Job(config, stage.identity, block, run) for block in owed]
                runner: Any = ThreadPoolTaskRunner(config.execution.workers)
                run_stage.with_options(name=stage.name, task_runner=runner)(stage, jobs)
    except BaseException as error:
        record.finished("failed", reason=f"{type(error).__name__}: {error}")
        raise
    record.finished("completed", **write_run_report(config, record))
    return record.as_json()


@flow(name="ingest", flow_run_name="ingest", validate_parameters=False)
def ingest_source(config: Config, retry_quarantined: bool) -> list[Item]:
    """Check new and changed files of the source, and write the manifest."""
    scan = ingest.scan(config, retry_quarantined)
    if not scan.to_read:
        return scan.known
    observer().stage_started("ingest", len(scan.to_read))
    groups = [scan.to_read[start : start + FILES_PER_CHECK] for start in range(0, len(scan.to_read), FILES_PER_CHECK)]
    checked: list[Item] = []
    for future in _in_a_window((check_files.submit(config, group) for group in groups), 2 * config.execution.workers):
        items = future.result()
        checked += items
        observer().items_done("ingest", len(items), sum(bool(item.reason) for item in items))
    return ingest.save(config, scan.known, checked)


@task(task_run_name="check files", retries=2, retry_delay_seconds=[1, 5])
def check_files(config: Config, entries: list[Entry]) -> list[Item]:
    """Read and decode some files of the source."""
    return [ingest.check_entry(entry, config.ingest) for entry in entries]


@flow(flow_run_name="{stage.name}", validate_parameters=False)
def run_stage(stage: Stage, jobs: list[Job]) -> None:
    """Make the owed blocks of one stage; raises RunFailed after all others are done if any could not be made."""
    observer().stage_started(stage.name, sum(len(job.block.items) for job in jobs))
    window = 2 * jobs[0].config.execution.workers
    failures = []
    for job, future in zip(jobs, _in_a_window((stage.task.submit(job) for job in jobs), window), strict=True):
        state: State = future.state
        if not state.is_completed():
            failures.append(f"{job.block.name}: {state.message}")
            continue
        receipt = future.result()
        observer().items_done(stage.name, len(receipt.items), len(receipt.quarantined))
    if failures:
        shown = "\n  ".join(failures[:5])
        raise RunFailed(f"stage {stage.name}: {len(failures)} of {len(jobs)} blocks could not be made:\n  {shown}")


def _in_a_window(submissions: Iterable[PrefectFuture], size: int) -> Iterable[PrefectFuture]:
    """Finished futures in the order of submission, with at most ``size`` in flight: memory and Prefect's load stay bounded."""
    flying: deque[PrefectFuture] = deque()
    for future in submissions:
        flying.append(future)
        if len(flying) >= size:
            yield _finished(flying.popleft())
    while flying:
        yield _finished(flying.popleft())


def _finished(future: PrefectFuture) -> PrefectFuture:
    future.wait()
    return future
