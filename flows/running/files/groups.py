"""Which files one task run of ingest reads, and the task."""

from __future__ import annotations

from collections.abc import Sequence

from prefect import task
from prefect.tasks import Task

from flows.running.block_task import passing_fault
from flows.running.workers import Workers
from flows.telling.tags import STORAGE
from storage.items import Item
from tasks.ingest.check import check
from tasks.ingest.entries import Entry
from tasks.ingest.settings import Ingest
from tasks.stage.attempts.telling import Tell
from tasks.stage.kind import Stage

FILES_PER_CHECK = 256
BYTES_PER_CHECK = 1 << 29
"""Most files, and most bytes, that one task run of ingest reads: what a kill in the middle of it loses."""
LEAST_PER_CHECK = 16
"""Files that a task run reads at least, where that leaves every worker something to do."""


def file_groups(entries: Sequence[Entry], window: int) -> list[list[Entry]]:
    """Files for the task runs of ingest: many for each, but few enough that ``window`` workers have something to do."""
    most = min(FILES_PER_CHECK, max(LEAST_PER_CHECK, -(-len(entries) // (2 * window))))
    groups: list[list[Entry]] = []
    room = 0
    for entry in entries:
        if not groups or len(groups[-1]) == most or entry.size > room:
            groups.append([])
            room = BYTES_PER_CHECK
        groups[-1].append(entry)
        room -= entry.size
    return groups


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
