"""The sources of a run: files are read while blocks of those that are read are made, so that nothing waits for the last file."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from queue import SimpleQueue
from uuid import UUID

from prefect.futures import PrefectFuture

from configs.pipeline import Config
from configs.trial import Trial
from flows.comparing.comparison import of_source
from flows.errors import Interrupted
from flows.running.block_task import source_task, submit
from flows.running.drain import asked_to_stop
from flows.running.files.source import SourceReading
from flows.running.subflow import in_subflow
from flows.running.workers import Workers
from flows.telling.lineage_events import RunEvents
from flows.telling.progress import observer
from flows.trials import choose, reach
from storage.items import Item
from tasks.ingest import ingest
from tasks.ingest.ingest import Retry, Scan
from tasks.pipeline import sources

Notes = SimpleQueue[Callable[[], None]]
"""What came of task runs that are over, to be noted by the thread of the flow."""
GROWTH = 10
"""The plan is made again for at least a tenth of the blocks that the run has placed: dozens of times, however many there are."""


class Reading:
    """Reads what is new of all sources that a trial takes, one source after the other.

    Attributes
    ----------
    scans : by the key of a source what is known of it, so far as it is placed
    nodes : by the key of a source the task run in Prefect that stands for its panoramas
    notes : what came of its task runs, and of others that share them
    error : what ended it before its end
    """

    def __init__(
        self,
        scans: Mapping[str, Scan],
        left: Sequence[SourceReading],
        events: RunEvents,
        workers: Workers,
        task_runs_per_flow_run: int,
    ) -> None:
        self.scans, self.nodes, self.notes = dict(scans), dict[str, UUID](), Notes()
        self.error: BaseException | None = None
        self._left, self._read, self._events, self._workers = deque(left), deque[SourceReading](), events, workers
        self._most = task_runs_per_flow_run
        self._planned, self._ended = 0, False
        for one in left:
            self.scans[one.stage.key] = one.place_whole()
        self._begin()

    @property
    def over(self) -> bool:
        """Whether all is read and placed."""
        return not self._left

    @property
    def more(self) -> bool:
        """Whether another group of files may be read now."""
        return self.groups > 0 and self.error is None and not asked_to_stop()

    @property
    def groups(self) -> int:
        """Groups of files of the present source that nobody reads yet."""
        return self._left[0].groups if self._left else 0

    @property
    def flying(self) -> int:
        """Groups that are being read."""
        return self._left[0].flying if self._left else 0

    @property
    def blocks(self) -> int:
        """Blocks whose files are all read, and that no plan has yet."""
        return self._left[0].blocks if self._left else 0

    @property
    def ready(self) -> bool:
        """Whether there is enough for another plan."""
        return self.over or self._ended or self.blocks >= max(self._workers.window, self._planned // GROWTH)

    def submit(self) -> None:
        """Let the next group of files be read."""
        one = self._left[0]
        future = one.submit()
        future.add_done_callback(lambda _: self.notes.put(partial(self._done, one, future)))

    def _done(self, one: SourceReading, future: PrefectFuture[list[Item]]) -> None:
        try:
            one.done(future)
            self._end_if_over()
        except Exception as error:
            self.error = self.error or error

    def _begin(self) -> None:
        """Pass over sources of which nothing is to be read, and begin the next."""
        while self._left and not self._left[0].owes:
            stage = self._left[0].stage
            self._events.stage_started(stage)
            self._finish()
            self._events.stage_ended(stage)
        if self._left:
            self._events.stage_started(self._left[0].stage)
            if wanted := self._left[0].wanted:
                observer().stage_started(self._left[0].stage.key, len(wanted))
            self._end_if_over()

    def _end_if_over(self) -> None:
        if self._left[0].over and self.error is None:
            stage = self._left[0].stage
            self._finish()
            self._events.stage_ended(stage)
            self._ended = True
            self._begin()

    def _finish(self) -> None:
        one = self._left[0]
        self.scans[one.stage.key] = one.place_all()
        self._read.append(self._left.popleft())

    def _stand_for(self, one: SourceReading) -> None:
        """Have a task run in Prefect for the panoramas of a source that have their places."""
        key = one.stage.key
        told = {"stage": key, "panoramas": len(self.scans[key].known), "read": one.read, "after": None}
        before = [self.nodes[key]] if key in self.nodes else []  # stands for what was read until then
        self.nodes[key], one.nodes = submit(source_task, "after", told, before + one.nodes).task_run_id, []

    def place(self) -> Mapping[str, Scan]:
        """Give what is read its places, and return what is known of all sources, so far as it is placed.

        Task runs that stand for it are begun here, since blocks come after them, and only in the flow run of the run itself they
        are seen by all of these.
        """
        self._ended = False
        while self._read:
            self._stand_for(self._read.popleft())
        if self._left:
            self._planned += self.blocks
            self.scans[self._left[0].stage.key] = self._left[0].place_whole()
            self._stand_for(self._left[0])
        return self.scans

    def go_on(self) -> None:
        """Read until there is enough for another plan, or no more can be read."""
        while not self.ready and (self.more or self.flying):
            if self.groups > self._most:
                title = f"{self._left[0].stage.key}, {self.groups} groups left"
                in_subflow("files", title, self._most, partial(self._read_on, self._most))
            else:
                self._read_on()

    def _read_on(self, most: int | None = None) -> None:
        """Read until there is enough; if at most so many groups are to be read, the last of them is waited for."""
        count = 0
        while True:
            while self.more and not self.ready and self.flying < self._workers.at_once and (most is None or count < most):
                self.submit()
                count += 1
            if not self.flying or (self.ready and most is None):
                return
            self.notes.get()()

    def wait(self) -> None:
        """Wait for the files that are being read."""
        while self.flying:
            self.notes.get()()

    def refuse_end(self) -> None:
        """Raise what ended it before its end, once nothing is being read any more.

        Raises
        ------
        Interrupted
            The process was asked to stop. Files in work are finished, and what is read stays read.
        Exception
            Whatever kept a group of files from being read, after all tries.
        """
        if self.error is not None:
            self._events.stage_ended(self._left[0].stage, error=self.error)
            raise self.error
        if not self.over and asked_to_stop():
            error = Interrupted(f"stopped at stage {self._left[0].stage.key}; files that were read need not be read again")
            self._events.stage_ended(self._left[0].stage, error=error)
            raise error


def reading_of(
    config: Config, scans: Mapping[str, Scan], retry: Retry, trial: Trial, events: RunEvents, workers: Workers
) -> Reading:
    """What a run has to read: all that is new of the sources that a trial takes. ``scans`` are those that were made before."""
    found, known = reach(trial, config), dict(scans)
    own = [stage for stage in sources(config) if stage.key in found.looks]
    for stage in own:
        known[stage.key] = known.get(stage.key) or ingest.scan(stage, of_source(retry, stage.key))
    chosen = choose(trial, own, known)
    makes = [stage for stage in own if stage.key in found.makes]
    left = [SourceReading(stage, known[stage.key], None if chosen is None else chosen[stage.key], workers) for stage in makes]
    return Reading(known, left, events, workers, config.execution.task_runs_per_flow_run)
