"""What a user sees while a run goes on. Flows report events; the terminal shows them, and other places may."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from types import TracebackType

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)


class Observer:
    """Receives the events of a run. This one shows nothing of them: who shows any overrides what tells of these."""

    def stage_started(self, stage: str, items: int) -> None:
        """A stage begins, with so many items to do."""

    def stage_grew(self, stage: str, items: int) -> None:
        """A stage has so many items to do by now."""

    def items_done(self, stage: str, done: int, quarantined: int) -> None:
        """So many more items of a stage are finished, some of them given up."""

    def said(self, stage: str, line: str) -> None:
        """A block of a stage tells how far it is."""

    def told(self, line: str, everywhere: bool = False) -> None:
        """The run tells how far it is, or what should be seen ``everywhere``."""


class TerminalProgress(Observer):
    """One live bar a stage, with items per second, time left, and how many items were quarantined."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._progress = Progress(
            SpinnerColumn(finished_text="[green]✓[/]"),
            TextColumn("{task.description:<18}"),
            BarColumn(bar_width=28),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]:>12}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("[yellow]{task.fields[note]}[/]"),
            console=console,
        )
        self._bars: dict[str, TaskID] = {}
        self._quarantined: dict[str, int] = {}

    def __enter__(self) -> TerminalProgress:
        self._progress.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._progress.stop()

    def stage_started(self, stage: str, items: int) -> None:
        """Add a bar."""
        self._bars[stage] = self._progress.add_task(stage, total=items, rate="", note="")
        self._quarantined[stage] = 0

    def stage_grew(self, stage: str, items: int) -> None:
        """Make a bar longer."""
        self._progress.update(self._bars[stage], total=items)

    def items_done(self, stage: str, done: int, quarantined: int) -> None:
        """Move a bar on."""
        self._quarantined[stage] += quarantined
        bar = self._bars[stage]
        self._progress.advance(bar, done)
        row = self._progress.tasks[self._progress.task_ids.index(bar)]
        count = self._quarantined[stage]
        self._progress.update(
            bar, rate=f"{row.completed / max(row.elapsed or 0, 1e-3):.1f} items/s", note=f"{count} quarantined" if count else ""
        )

    def said(self, stage: str, line: str) -> None:
        """Its beginning beside the bar on a terminal, which has no room for figures; as a line where there are no live bars."""
        if self._console.is_terminal:
            self._progress.update(self._bars[stage], note=line.partition(":")[0])
        else:
            self.told(f"{stage}: {line}")

    def told(self, line: str, everywhere: bool = False) -> None:
        """As a line where there are no live bars, or ``everywhere``."""
        if everywhere or not self._console.is_terminal:
            self._console.print(line, highlight=False, markup=False, soft_wrap=True)


_observer: ContextVar[Observer | None] = ContextVar("observer", default=None)


def observer() -> Observer:
    """Where the flows of this context report to."""
    return _observer.get() or Observer()


def line_said(stage: str, line: str) -> None:
    """Report what a block says on its way; a worker of Dask has nobody to show it to."""
    observer().said(stage, line)


@contextmanager
def reporting_to(target: Observer) -> Iterator[None]:
    """Let the flows that run inside report to ``target``."""
    token = _observer.set(target)
    try:
        yield
    finally:
        _observer.reset(token)
