"""The main path: one flow run that brings a store to the state that a config asks for.

    sources are read -> every stage in the file's order, block by block -> report

Every stage is a subflow, every block a task run. What already has its receipt does not run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import replace
from functools import partial
from typing import Any

from prefect import Flow, flow, tags
from prefect.futures import PrefectFuture
from prefect.runtime import flow_run
from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings

from configs.pipeline import Config
from configs.trial import WHOLE, Trial
from flows.comparison import of_source
from flows.errors import Interrupted
from flows.plan import Plan, make_plan, refuse_unfit
from flows.report import Found, write_run_report
from flows.running.blocks import in_a_window, make_blocks
from flows.running.cutoff import adoptable
from flows.running.drain import asked_to_stop, draining_in_flow, telling_workers
from flows.running.file_groups import check_files, file_groups
from flows.running.handover import handed_plan
from flows.running.nothing_made import refuse_empty_source, refuse_failed_alike, refuse_nothing_made
from flows.running.others import refuse_missing
from flows.running.parameters import ConfigParameter
from flows.running.server import outlives_the_run
from flows.running.workers import Workers, start_workers
from flows.stores.made import made_of
from flows.stores.record import RunRecord, new_run_name
from flows.telling.artifacts import publish_outcome, publish_plan
from flows.telling.events import report_quarantined
from flows.telling.lineage_events import RunEvents
from flows.telling.progress import observer
from flows.telling.shown import publish_section
from flows.telling.tags import STORAGE, TRIAL, config_tag, stage_tags, tag_this_run, untagged
from flows.trials import Chosen, choose, reach
from storage.manifest import Block, Item
from storage.receipts import Receipt
from tasks.ingest import ingest
from tasks.ingest.entries import Entry
from tasks.ingest.ingest import Retry, Scan
from tasks.ingest.life import with_former_names
from tasks.pipeline import sources
from tasks.stage.job import Job
from tasks.stage.kind import Stage, Step


def _flow_run_name() -> str:
    config = flow_run.parameters["config"]  # JSON, or the model itself where a worker runs a deployment
    return flow_run.parameters.get("run") or new_run_name(config.name if isinstance(config, Config) else config["name"])


@flow(name="panolabel", flow_run_name=_flow_run_name, log_prints=False)
def pipeline(
    config: ConfigParameter,
    run: str | None = None,
    retry: bool | list[str] = False,
    only: dict[str, list[str]] | None = None,
    trial: Trial = WHOLE,
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
    trial : Trial
        Some panoramas, some stages, or both, in place of all: ``{"limit": 10, "until": ["fuse"]}``.

    Raises
    ------
    RunFailed
        A stage could not finish; what is done stays done, and the next run goes on from there. NothingMade, one of its kind, if
        it gave up all items, or if all that one run tried failed alike.
    Interrupted
        The process was asked to stop.
    """
    return carry_out(config, run or flow_run.name, retry, only, trial)


def carry_out(
    config: Config, run: str, retry: bool | list[str], only: Mapping[str, Sequence[str]] | None, trial: Trial
) -> dict[str, Any]:
    """Within a flow run: everything that a config owes, and its record; see :func:`pipeline`."""
    record = RunRecord(config, run, _page_in_prefect(), trial)
    events = RunEvents(config, run)
    events.started()
    tag_this_run(config_tag(config.name), *[TRIAL] * bool(trial.words))
    outcome: dict[str, Any] = {}
    try:
        with (
            draining_in_flow(),
            telling_workers(config.root, run),
            tags(config_tag(config.name)),
            start_workers(config.execution.runner) as workers,
        ):
            plan = _plan(config, retry, only is None, trial, workers, events)
            record.planned(plan)
            publish_plan(plan)
            refuse_empty_source(config, plan)
            found = _make_stages(config, plan, run, only, workers, events)
        outcome |= write_run_report(config, record, found)
        if only is None:
            refuse_failed_alike(config, plan)
        record.finished("completed", **outcome)
    except BaseException as error:
        _note_failure(record, error, outcome)
        publish_outcome(record.as_json())
        events.ended(error)
        report_quarantined(config, record.plan, record.run)
        raise
    events.ended()
    publish_outcome(record.as_json())
    report_quarantined(config, record.plan, record.run)
    return record.as_json()


def _plan(config: Config, retry: Retry, reads: bool, trial: Trial, workers: Workers, events: RunEvents) -> Plan:
    """What the run makes, once new files of its sources are read, if it ``reads`` any. ConfigError refuses it."""
    handed = handed_plan()
    scans = {source.key: source.whole for source in handed.sources} if handed else {}
    if reads:
        scans = read_sources(config, scans, retry, trial, events, workers)
    plan = make_plan(config, retry, scans or None, rehash=False, receipts=handed.receipts if handed else None, trial=trial)
    refuse_missing(config, plan)
    refuse_unfit(plan)
    return plan


def _make_stages(
    config: Config, plan: Plan, run: str, only: Mapping[str, Sequence[str]] | None, workers: Workers, events: RunEvents
) -> Found:
    """Make what the stages owe, one after the other; what they show is told as each is done."""
    found = Found()
    for step in plan.chosen:
        chosen = None if only is None else only.get(step.key, ())
        owed = [block for block in plan.owed_blocks(step) if chosen is None or block.name in chosen]
        with events.stage(step.stage, step.blocks, owed, plan.receipts):
            jobs = jobs_of(step, owed, config, run, plan)
            run_stage(step.stage, jobs, config, workers, partial(plan.receipts.keep, step.stage))
        if only is None:
            refuse_nothing_made(config, plan, step)
        publish_section(found.add(made_of(config, plan, step)))
    return found


def _note_failure(record: RunRecord, error: BaseException, outcome: Mapping[str, Any]) -> None:
    if record.plan is not None:
        record.plan.receipts.forget()  # what failed may have withdrawn some
    state = "interrupted" if isinstance(error, (Interrupted, KeyboardInterrupt)) else "failed"
    failures = [dict(zip(("stage", "block", "message"), row)) for row in getattr(error, "failures", ())]
    with suppress(OSError):  # a store that failed the run, a full disk say, may refuse its record too
        record.finished(state, **outcome, reason=f"{type(error).__name__}: {error}", failures=failures)


def _page_in_prefect() -> str:
    """Where the run shows in the UI of a Prefect server that outlives it; empty if there is none."""
    return (flow_run.ui_url or "") if outlives_the_run() else ""


def read_sources(
    config: Config, scans: Mapping[str, Scan], retry: Retry, trial: Trial, events: RunEvents, workers: Workers
) -> dict[str, Scan]:
    """Read what is new of all sources that a trial takes, those of its panoramas alone; by key, what is known then.

    ``scans`` are those that were made before.
    """
    found, known = reach(trial, config), dict(scans)
    own = [stage for stage in sources(config) if stage.key in found.looks]

    def look(stage: Stage) -> Scan:
        known[stage.key] = known.get(stage.key) or ingest.scan(stage, of_source(retry, stage.key))
        return known[stage.key]

    if trial.chooses:
        known |= {stage.key: look(stage) for stage in own}
    chosen = choose(trial, own, known)
    for stage in own:
        if stage.key in found.makes:
            with events.stage(stage):
                known[stage.key] = ingest_source(stage, look(stage), workers, chosen)
        else:
            look(stage)
    return known


def ingest_source(stage: Stage, scan: Scan, workers: Workers, chosen: Chosen | None = None) -> Scan:
    """Check new and changed files of the source, and write the manifest; a subflow if there are any. Returns what is known then.

    What is read is kept group by group, so that a run that is killed or stopped need not read it again; places are given once
    all of it is there. A trial, for which panoramas are ``chosen``, reads and keeps theirs, and gives no places.

    Raises
    ------
    Interrupted
        The process was asked to stop; files in work are finished, and what is read stays read.
    """
    wanted = scan.to_read if chosen is None else [entry for entry in scan.to_read if entry.item in chosen[stage.key]]
    if not wanted and (chosen is not None or not scan.checked):
        return scan
    checked = [*scan.checked, *_read(stage, wanted, {item.item: item for item in scan.known}, workers)]
    if chosen is None:
        return ingest.placed(stage, scan, ingest.save(stage, scan.known, with_former_names(scan, checked)))
    names = {entry.item for entry in wanted}
    return replace(scan, to_read=[entry for entry in scan.to_read if entry.item not in names], checked=tuple(checked))


def _read(stage: Stage, wanted: Sequence[Entry], before: Mapping[str, Item], workers: Workers) -> list[Item]:
    """Check files of a source, in a subflow if there are any; what is known of them from ``before`` need not be found again."""
    checked: list[Item] = []

    @flow(name=stage.key, flow_run_name=stage.key, task_runner=workers.task_runner())
    def check_new_files(files: int) -> None:
        observer().stage_started(stage.key, files)
        check = check_files.with_options(tags=workers.limits & {STORAGE})

        def submissions() -> Iterator[tuple[list[Entry], PrefectFuture[Any]]]:
            for group in file_groups(wanted, workers.window):
                if asked_to_stop():
                    return
                with untagged():
                    future = check.submit(stage.settings, group, [before.get(entry.item) for entry in group])
                yield group, future

        with draining_in_flow():
            for _, future in in_a_window(submissions(), workers.window):
                items = future.result()
                ingest.keep(stage, items)
                checked.extend(items)
                observer().items_done(stage.key, len(items), sum(bool(item.reason) for item in items))

    if wanted:
        with no_heartbeat(), tags(*stage_tags(stage.key)):
            check_new_files(len(wanted))
    if len(checked) < len(wanted):
        raise Interrupted(f"stopped at stage {stage.key}; files that were read need not be read again")
    return checked


def no_heartbeat() -> AbstractContextManager[Any]:
    """For subflows: the flow run around them tells Prefect that it lives, and ending a heartbeat takes up to a second."""
    return temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None})


def jobs_of(step: Step, owed: Sequence[Block], config: Config, run: str, plan: Plan) -> list[Job]:
    """A job for each owed block; blocks that are finished and owed all the same, to try items again, are made in any case."""
    fresh = [block for block in owed if plan.receipts.get(step.stage, block.name) is None]
    alike = adoptable(step.stage, fresh, plan.receipts)
    jobs = [plan.job(step, block, run, config.execution) for block in owed]
    return [replace(job, adopts=alike.get(job.block.name, "")) for job in jobs]


def run_stage(stage: Stage, jobs: Sequence[Job], config: Config, workers: Workers, keep: Callable[[Receipt], None]) -> None:
    """Make the blocks that one stage owes, in one subflow for every ``blocks_per_flow_run`` of them.

    ``keep`` is given the receipt of each.

    Raises
    ------
    RunFailed
        Blocks could not be made; all others are done first, unless going on makes no sense (full disk, lost permission).
    """
    if not jobs:
        return
    observer().stage_started(stage.key, sum(len(job.block.items) for job in jobs))
    size = config.execution.blocks_per_flow_run
    parts = [jobs[start : start + size] for start in range(0, len(jobs), size)]
    for number, part in enumerate(parts, 1):
        name = stage.key if len(parts) == 1 else f"{stage.key} {number} of {len(parts)}"
        with no_heartbeat(), tags(*stage_tags(stage.key)):
            _stage_flow(stage, name, part, workers, keep)(len(part), sum(len(job.block.items) for job in part))
        workers.recycle()


def _stage_flow(
    stage: Stage, name: str, jobs: Sequence[Job], workers: Workers, keep: Callable[[Receipt], None]
) -> Flow[[int, int], None]:
    """A flow over some blocks. The jobs are no parameters: Prefect would store every one of them with the flow run."""

    @flow(name=stage.key, flow_run_name=name, task_runner=workers.task_runner())
    def stage_flow(blocks: int, items: int) -> None:
        with draining_in_flow():
            make_blocks(stage, jobs, workers, keep)

    return stage_flow
