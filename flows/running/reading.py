"""The sources of a run: new and changed files are read, decoded and placed before its blocks are made."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from queue import SimpleQueue
from typing import Any
from uuid import UUID

from prefect import task
from prefect.futures import PrefectFuture
from prefect.tasks import Task
from prefect.utilities.annotations import quote

from configs.pipeline import Config
from configs.trial import Trial
from flows.comparison import of_source
from flows.errors import Interrupted
from flows.running.block_task import passing_fault, source_task, submit
from flows.running.drain import asked_to_stop
from flows.running.file_groups import file_groups
from flows.running.subflow import in_subflow
from flows.running.workers import Workers
from flows.telling.lineage_events import RunEvents
from flows.telling.progress import observer
from flows.telling.tags import STORAGE
from flows.trials import Chosen, choose, reach
from storage.manifest import Item
from tasks.ingest import ingest
from tasks.ingest.check import check
from tasks.ingest.entries import Entry
from tasks.ingest.ingest import Retry, Scan
from tasks.ingest.life import with_former_names
from tasks.ingest.settings import Ingest
from tasks.pipeline import sources
from tasks.stage.attempts.telling import Tell
from tasks.stage.kind import Stage


def read_sources(
    config: Config, scans: Mapping[str, Scan], retry: Retry, trial: Trial, events: RunEvents, workers: Workers
) -> tuple[dict[str, Scan], dict[str, UUID]]:
    """Read what is new of all sources that a trial takes, those of its panoramas alone.

    ``scans`` are those that were made before. By key, what is known then, and the task run in Prefect that stands for it.
    """
    found, known, nodes = reach(trial, config), dict(scans), dict[str, UUID]()
    own = [stage for stage in sources(config) if stage.key in found.looks]

    def look(stage: Stage) -> Scan:
        known[stage.key] = known.get(stage.key) or ingest.scan(stage, of_source(retry, stage.key))
        return known[stage.key]

    if trial.chooses:
        known |= {stage.key: look(stage) for stage in own}
    chosen = choose(trial, own, known)
    for stage in own:
        if stage.key not in found.makes:
            look(stage)
            continue
        with events.source(stage):
            known[stage.key], read = ingest_source(stage, look(stage), workers, config, chosen)
        told = {"stage": stage.key, "panoramas": len(known[stage.key].known), "read": len(read), "after": None}
        nodes[stage.key] = submit(source_task, "after", told, read).task_run_id
    return known, nodes


def ingest_source(
    stage: Stage, scan: Scan, workers: Workers, config: Config, chosen: Chosen | None = None
) -> tuple[Scan, list[UUID]]:
    """Check new and changed files of the source, and write the manifest. Returns what is known then, and who read the files.

    What is read is kept group by group, so that a run that is killed or stopped need not read it again; places are given once
    all of it is there. A trial, for which panoramas are ``chosen``, reads and keeps theirs, and gives no places.

    Raises
    ------
    Interrupted
        The process was asked to stop; files in work are finished, and what is read stays read.
    """
    wanted = scan.to_read if chosen is None else [entry for entry in scan.to_read if entry.item in chosen[stage.key]]
    if not wanted and (chosen is not None or not scan.checked):
        return scan, []
    read, nodes = _read(stage, wanted, {item.item: item for item in scan.known}, workers, config)
    checked = [*scan.checked, *read]
    if chosen is None:
        return ingest.placed(stage, scan, ingest.save(stage, scan.known, with_former_names(scan, checked))), nodes
    names = {entry.item for entry in wanted}
    left = [entry for entry in scan.to_read if entry.item not in names]
    return replace(scan, to_read=left, checked=tuple(checked)), nodes


def _read(
    stage: Stage, wanted: Sequence[Entry], before: Mapping[str, Item], workers: Workers, config: Config
) -> tuple[list[Item], list[UUID]]:
    """Check files of a source; what is known of them from ``before`` need not be found again."""
    groups = file_groups(wanted, workers.at_once)
    most = config.execution.task_runs_per_flow_run
    checked: list[Item] = []
    nodes: list[UUID] = []
    if wanted:
        observer().stage_started(stage.key, len(wanted))
    if len(groups) <= most:
        nodes = _read_groups(stage, groups, before, workers, checked)
    else:
        for start in range(0, len(groups), most):
            part, title = groups[start : start + most], f"{stage.key} {start + 1} of {len(groups)}"
            in_subflow("files", title, len(part), partial(_read_groups, stage, part, before, workers, checked))
    if len(checked) < len(wanted):
        raise Interrupted(f"stopped at stage {stage.key}; files that were read need not be read again")
    return checked, nodes


def _read_groups(
    stage: Stage, groups: Sequence[list[Entry]], before: Mapping[str, Item], workers: Workers, checked: list[Item]
) -> list[UUID]:
    """A task run for each group of files, as many at once as there are workers; what they read goes to ``checked``."""
    check = files_task(stage, workers)

    def submissions() -> Iterator[PrefectFuture[Any]]:
        for number, group in enumerate(groups, 1):
            if asked_to_stop():
                return
            files = [(entry, before.get(entry.item)) for entry in group]
            yield submit(check, "files", {"files": quote(files), "number": number}, ())

    nodes: list[UUID] = []
    for future in in_a_window(submissions(), workers.at_once):
        nodes.append(future.task_run_id)
        _keep(stage, future, checked)
    return nodes


def in_a_window(submissions: Iterator[PrefectFuture[Any]], size: int) -> Iterator[PrefectFuture[Any]]:
    """Futures as they finish, with at most ``size`` in flight."""
    finished: SimpleQueue[PrefectFuture[Any]] = SimpleQueue()
    flying = 0
    for future in submissions:
        future.add_done_callback(finished.put)
        flying += 1
        if flying >= size:
            yield finished.get()
            flying -= 1
    for _ in range(flying):
        yield finished.get()


def _keep(stage: Stage, future: PrefectFuture[Any], checked: list[Item]) -> None:
    items: list[Item] = future.result()
    ingest.keep(stage, items)
    checked.extend(items)
    observer().items_done(stage.key, len(items), sum(bool(item.reason) for item in items))


def files_task(stage: Stage, workers: Workers) -> Task[..., list[Item]]:
    """The Prefect task that reads and decodes some files of a source."""

    def check_files(files: list[tuple[Entry, Item | None]], number: int) -> list[Item]:
        return workers.call(check_entries, stage.settings, files, tell=lambda _line: None)

    return task(
        name="check_files",
        task_run_name=f"{stage.key} files {{number}}",
        tags=workers.limits & {STORAGE},
        persist_result=False,
        retries=2,
        retry_delay_seconds=[1, 5],
        retry_condition_fn=passing_fault,
    )(check_files)


def check_entries(settings: Ingest, files: list[tuple[Entry, Item | None]], _tell: Tell) -> list[Item]:
    """Read and decode some files of the source, each with what is known of it from before."""
    return [check(entry, settings, known) for entry, known in files]
