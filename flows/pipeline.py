"""The main path: one flow run that brings a store to the state that a config asks for.

    sources are read -> each block goes through the stages in the file's order -> report

Every block of a stage is a task run. What already has its receipt does not run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from prefect import State, flow, tags
from prefect.runtime import flow_run
from prefect.states import Completed

from configs.pipeline import Config
from configs.trial import WHOLE, Trial
from flows.errors import Interrupted
from flows.report import write_run_report
from flows.running.drain import draining_in_flow, telling_workers
from flows.running.engine import Engine
from flows.running.files.reading import Reading, reading_of
from flows.running.handover import handed_plan
from flows.running.measures.chips import watching_chips
from flows.running.measures.efficiency import Efficiency
from flows.running.nothing_made import refuse_failed_alike
from flows.running.parameters import ConfigParameter
from flows.running.planning import Planning
from flows.running.server.embedded import outlives_the_run
from flows.running.server.leaving import is_told
from flows.running.watch import stopped_state, watching
from flows.running.workers import Workers, start_workers
from flows.stores.at_work import at_work_words, others_at_work
from flows.stores.record import RunRecord, made_in_words, new_run_name
from flows.telling.artifacts import publish_outcome
from flows.telling.events import report_models, report_quarantined
from flows.telling.lineage_events import RunEvents
from flows.telling.run_log import RunLog
from flows.telling.tags import TRIAL, config_tag, tag_this_run
from tasks.ingest.ingest import Retry


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
) -> dict[str, Any] | State[Any]:
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
    prefect.exceptions.CancelledRun
        The run was asked to stop, by a signal or in Prefect, and has drained: run again to go on.
    """
    try:
        record = carry_out(config, run or flow_run.name, retry, only, trial)
    except Interrupted as stopped:
        return stopped_state(stopped)
    return Completed(message=made_in_words(record), data=record)


def carry_out(
    config: Config, run: str, retry: bool | list[str], only: Mapping[str, Sequence[str]] | None, trial: Trial
) -> dict[str, Any]:
    """Within a flow run: everything that a config owes, and its record; see :func:`pipeline`."""
    record = RunRecord(config, run, _page_in_prefect(), trial)
    events, log = RunEvents(config, run), RunLog(config.root, run)
    events.started()
    for line in at_work_words(others_at_work(config.root)):
        log.tell(line, everywhere=True)
    tag_this_run(config_tag(config.name), *[TRIAL] * bool(trial.words))
    outcome: dict[str, Any] = {}
    try:
        with (
            draining_in_flow(),
            telling_workers(config.root, run),
            tags(config_tag(config.name)),
            start_workers(config.execution.runner) as workers,
            watching() as watch,
            watching_chips() as chips,
        ):
            reading = _reading(config, retry, only is None, trial, events, workers)
            planning = Planning(config, retry, trial, reading, record)
            efficiency = Efficiency(workers.settings, chips)
            found = Engine(config, planning, run, only, workers, events, reading, watch, log, efficiency).make()
        if told := efficiency.as_json():
            outcome["efficiency"] = told
        outcome |= write_run_report(config, record, found)
        if only is None and record.plan is not None:
            refuse_failed_alike(config, record.plan)
        log.save()
        record.finished("completed", **outcome)
    except BaseException as error:
        log.tell(f"{type(error).__name__}: {error}")
        log.save()
        _note_failure(record, error, outcome)
        if is_told(config.root, record.as_json(), error):
            publish_outcome(config.name, record.as_json())
        events.ended(error)
        report_quarantined(config, record.plan, record.run)
        raise
    events.ended()
    if is_told(config.root, record.as_json()):
        publish_outcome(config.name, record.as_json())
    report_quarantined(config, record.plan, record.run)
    report_models(config, record.plan, record.run)
    return record.as_json()


def _reading(config: Config, retry: Retry, reads: bool, trial: Trial, events: RunEvents, workers: Workers) -> Reading:
    """The files of the sources that are new, if the run ``reads`` any; so many are read by now that there are blocks to make.

    Interrupted, or what kept files from being read, if there are none.
    """
    handed = handed_plan()
    scans = {source.key: source.whole for source in handed.sources} if handed else {}
    if not reads:
        return Reading(scans, [], events, workers, config.execution.task_runs_per_flow_run)
    reading = reading_of(config, scans, retry, trial, events, workers)
    reading.go_on()
    if not reading.ready:
        reading.refuse_end()
    return reading


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
