"""The main path: one flow run that brings a store to the state that a config asks for.

    ingest -> project -> label (one stage for each teacher) -> fuse -> evaluate -> report

Every stage is a subflow, every block a task run. What already has its receipt does not run.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from prefect import Flow, flow, task
from prefect.runtime import flow_run

from configs.schema import Config
from flows.artifacts import publish_outcome, publish_plan
from flows.blocks import in_a_window, make_blocks
from flows.drain import Interrupted
from flows.plan import make_plan
from flows.progress import observer
from flows.record import RunRecord, new_run_name
from flows.report import write_run_report
from flows.workers import Workers, start_workers
from storage.manifest import Block, Item
from tasks import ingest
from tasks.block import Job
from tasks.sources import Entry
from tasks.stages import Stage

FILES_PER_CHECK = 16


def _flow_run_name() -> str:
    return flow_run.parameters.get("run") or new_run_name(flow_run.parameters["config"]["name"])


@flow(name="panolabel", flow_run_name=_flow_run_name, log_prints=False)
def pipeline(
    config: Config,
    run: str | None = None,
    retry: bool | list[str] = False,
    only: dict[str, list[str]] | None = None,
) -> dict[str, Any]:
    """Run everything that a config owes, and return the record of the run.

    Parameters
    ----------
    config : Config
    run : str, optional
        Name of the run in the ledger and in Prefect; by default made of time and config.
    retry : bool or names of items
        Try quarantined items again: all, or those named.
    only : mapping of stage to block names, optional
        Make just these of the blocks that are owed.

    Raises
    ------
    RunFailed
        A stage could not finish; what is done stays done, and the next run goes on from there.
    Interrupted
        The process was asked to stop.
    """
    record = RunRecord(config, run or flow_run.name, flow_run.ui_url or "")
    try:
        with start_workers(config.execution.runner) as workers:
            if only is None:
                ingest_source(config, retry, workers)
            plan = make_plan(config, retry)
            record.planned(plan)
            publish_plan(plan)
            for stage in plan.definitions:
                wanted = set(plan.owed[stage.name]) & set(plan.owed[stage.name] if only is None else only.get(stage.name, ()))
                run_stage(stage, [block for block in plan.blocks if block.name in wanted], config, record.run, workers)
    except BaseException as error:
        state = "interrupted" if isinstance(error, (Interrupted, KeyboardInterrupt)) else "failed"
        failures = [dict(zip(("stage", "block", "message"), row)) for row in getattr(error, "failures", ())]
        with suppress(OSError):  # a disk that is full takes no record either, and must not hide what went wrong
            record.finished(state, reason=f"{type(error).__name__}: {error}", failures=failures)
        publish_outcome(record.as_json())
        raise
    record.finished("completed", **write_run_report(config, record))
    publish_outcome(record.as_json())
    return record.as_json()


def ingest_source(config: Config, retry: bool | list[str], workers: Workers) -> list[Item]:
    """Check new and changed files of the source, and write the manifest; a subflow if there are any."""
    scan = ingest.scan(config, retry)
    if not scan.to_read:
        return scan.known
    groups = [scan.to_read[start : start + FILES_PER_CHECK] for start in range(0, len(scan.to_read), FILES_PER_CHECK)]
    checked: list[Item] = []

    @flow(name="ingest", flow_run_name="ingest", task_runner=workers.task_runner())
    def check_new_files(files: int) -> None:
        observer().stage_started("ingest", files)
        for _, future in in_a_window(((group, check_files.submit(config, group)) for group in groups), workers.window):
            items = future.result()
            checked.extend(items)
            observer().items_done("ingest", len(items), sum(bool(item.reason) for item in items))

    check_new_files(len(scan.to_read))
    return ingest.save(config, scan.known, checked)


@task(task_run_name="check files", retries=2, retry_delay_seconds=[1, 5])
def check_files(config: Config, entries: list[Entry]) -> list[Item]:
    """Read and decode some files of the source."""
    return [ingest.check_entry(entry, config.ingest) for entry in entries]


def run_stage(stage: Stage, owed: Sequence[Block], config: Config, run: str, workers: Workers) -> None:
    """Make the owed blocks of one stage, in one subflow for every ``blocks_per_flow_run`` of them.

    Raises
    ------
    RunFailed
        Blocks could not be made; all others are done first, unless going on makes no sense (full disk, lost permission).
    """
    if not owed:
        return
    observer().stage_started(stage.name, sum(len(block.items) for block in owed))
    size = config.execution.blocks_per_flow_run
    parts = [owed[start : start + size] for start in range(0, len(owed), size)]
    for number, part in enumerate(parts, 1):
        jobs = [Job(config, stage.identity, block, run) for block in part]
        name = stage.name if len(parts) == 1 else f"{stage.name} {number} of {len(parts)}"

        _stage_flow(stage, name, jobs, workers)(len(jobs), sum(len(job.block.items) for job in jobs))
        workers.recycle()


def _stage_flow(stage: Stage, name: str, jobs: Sequence[Job], workers: Workers) -> Flow[[int, int], None]:
    """A flow over some blocks. The jobs are no parameters: Prefect would store every one of them with the flow run."""

    @flow(name=stage.name, flow_run_name=name, task_runner=workers.task_runner())
    def stage_flow(blocks: int, items: int) -> None:
        make_blocks(stage, jobs, workers)

    return stage_flow
