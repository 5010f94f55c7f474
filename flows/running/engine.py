"""A run within Prefect: each block goes through all stages that can be made of it, and is a task run a stage, with its edges."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from queue import Empty
from typing import Any

from prefect.futures import PrefectFuture
from prefect.utilities.annotations import quote

from configs.pipeline import Config
from flows.errors import Interrupted
from flows.report import Found
from flows.running.block_task import DIED, STOPPED, cached_task, submit
from flows.running.drain import asked_to_stop
from flows.running.dropping import Dropping
from flows.running.edges import CACHED, before_block, before_cached, before_part
from flows.running.files.reading import Notes, Reading
from flows.running.flight import Flight
from flows.running.measures.efficiency import Efficiency
from flows.running.measures.outlook import Outlook
from flows.running.nothing_made import NothingMade, refuse_nothing_made
from flows.running.planning import Planning
from flows.running.schedule import Key, Schedule, Work, parts_of, works_of
from flows.running.stage_run import StageRun, as_one
from flows.running.subflow import in_subflow
from flows.running.watch import Watch
from flows.running.workers import Workers
from flows.stores.made import made_of
from flows.telling.lineage_events import RunEvents
from flows.telling.run_log import RunLog
from flows.telling.shown import publish_section
from storage.receipts import maker_of
from tasks.stage.job import Job
from tasks.stage.kind import Step, stages_read

LOOK_SECONDS = 1.0
"""Between two looks at what is asked of the run, while nothing is finished."""


class Engine:
    """Makes what a plan owes; ``found`` is what its stages show.

    Parameters
    ----------
    config : Config
    planning : Planning
        Makes the plan, again each time that more of the sources is read.
    run : str
    only : mapping of stage to block names, optional
        Make just these of the blocks that are owed, and judge no stage by what it has.
    workers : Workers
    events : RunEvents
    reading : Reading
        Files of the sources that are read while blocks of others are made.
    watch : Watch
        What is asked of the run in Prefect.
    log : RunLog
    efficiency : Efficiency
        Is told of the blocks that run networks.
    """

    def __init__(
        self,
        config: Config,
        planning: Planning,
        run: str,
        only: Mapping[str, Sequence[str]] | None,
        workers: Workers,
        events: RunEvents,
        reading: Reading,
        watch: Watch,
        log: RunLog,
        efficiency: Efficiency,
    ) -> None:
        self.found, self._efficiency = Found(), efficiency
        self._config, self._planning, self._run, self._only, self._workers = config, planning, run, only, workers
        self._events, self._reading, self._watch, self._log = events, reading, watch, log
        self._works: list[Work] = []
        self._stages: dict[str, StageRun] = {}
        self._shown_last: list[Step] = []
        self._lost: set[Key] = set()
        self._refused: NothingMade | None = None
        self._new = self._look()
        self._running = [*self._stages.values()]
        estimates = {row.stage: row.seconds for row in self._plan.stages}
        self._outlook = Outlook([*self._running], estimates, workers.settings)

    def _look(self) -> list[Work]:
        """Make the plan, or make it again; what it has more than before."""
        plan = self._plan = self._planning.plan(self._works)
        self._dropping, self._whole = Dropping(plan), self._reading.over
        known = {work.key for work in self._works}
        new = [work for work in works_of(plan, self._only, self._whole) if work.key not in known]
        for step in plan.chosen:
            works = [work for work in new if work.step is step]
            if step.key in self._stages:
                self._stages[step.key].grow(plan, step, works)
            else:
                self._stages[step.key] = StageRun(self._config, plan, step, works, self._workers, self._events, self._log)
        self._works += new
        return new

    def make(self) -> Found:
        """Make all of it, and return what the stages show.

        Raises
        ------
        Interrupted
            The run was asked to stop; what was submitted is finished, or left where the next run goes on.
        RunFailed
            After all others are done, if any block could not be made; at once, if going on makes no sense.
        Exception
            Whatever kept files of a source from being read, once what was read is made.
        """
        for stage in self._running:
            self._show_cached(stage)
        self._make_new()
        while not self._whole and not self._reading.error and not self._halted:
            self._reading.go_on()
            if self._reading.ready:
                self._new = self._look()
                self._make_new()
        self._tell_end()
        return self.found

    def _make_new(self) -> None:
        """Make what the last look at the plan brought."""
        self._settle()
        most = self._config.execution.task_runs_per_flow_run
        in_parts = len(self._works) + self._reading.groups > most
        parts = parts_of(self._new, most if self._whole else most // 2) if in_parts else [self._new]
        for number, part in enumerate(parts, 1):
            if self._halted:
                return
            if not in_parts or part[0].chain is None:
                self._make(part)
            else:
                self._make_in_subflow(part, number, len(parts))

    @property
    def _halted(self) -> bool:
        """Whether no more may be submitted."""
        stages = self._stages.values()
        return self._refused is not None or asked_to_stop() or any(stage.stop or stage.left for stage in stages)

    @property
    def _goes_on(self) -> bool:
        """Whether the next block may be begun now."""
        return not self._halted and not self._watch.paused

    def _make(self, works: Sequence[Work], files: int | None = None) -> None:
        """Make works within the flow run that is going on: as many at once as there are workers.

        Meanwhile files are read, at most so many groups of ``files``; if that is given, all are waited for.
        """
        schedule = Schedule(works, self._workers.window, self._lost)
        for work in works:
            if work.key in schedule.lost:
                self._stages[work.step.key].lose()
        flight = Flight(self._workers, self._reading, len({work.chain for work in works}), files)
        while True:
            self._settle()
            while self._goes_on and flight.has_room:
                if flight.reads_first:
                    flight.read()
                elif ready := schedule.next(idle=not flight.blocks, gpu=flight.on_gpu < self._workers.gpu_blocks):
                    future = self._submit(ready)
                    flight.begin(ready)
                    future.add_done_callback(partial(_put, self._reading.notes, partial(self._note, schedule, flight, ready)))
                elif flight.may_read:
                    flight.read()
                else:
                    break
            if flight.is_over and (self._halted or not self._watch.paused):
                break
            with suppress(Empty):
                self._reading.notes.get(timeout=LOOK_SECONDS)()
            if line := self._outlook.line(more=not self._whole):
                self._log.tell(line)
        self._lost |= schedule.lost

    def _make_in_subflow(self, works: Sequence[Work], number: int, parts: int) -> None:
        """Make works in a flow run of their own."""
        files = max(0, self._config.execution.task_runs_per_flow_run - len(works))
        after = before_part(works, self._stages, self._reading.nodes)
        node = in_subflow("blocks", f"{self._run} {number} of {parts}", len(works), lambda: self._make(works, files), after)
        if node:  # later edges cannot begin at a task run of another flow run
            for work in works:
                self._stages[work.step.key].nodes[work.block.name] = node
        self._workers.recycle()

    def _submit(self, work: Work) -> PrefectFuture[Any]:
        stage = self._stages[work.step.key]
        stage.begin(more=not self._whole)
        self._efficiency.begun(work.step.stage)
        after = before_block(work, self._stages, self._reading.nodes)
        future = submit(stage.task, "job", {"job": quote(self._job(work))}, after)
        stage.nodes[work.block.name] = future.task_run_id
        return future

    def _job(self, work: Work) -> Job:
        """What makes a block, or copies the one that it would come out as."""
        job = self._plan.job(work.step, work.block, self._run, self._config.execution)
        return self._stages[work.step.key].cutoff.told(replace(job, guarded=work.guarded))

    def _note(self, schedule: Schedule, flight: Flight, work: Work, future: PrefectFuture[Any]) -> None:
        """What came of a block."""
        future.wait()
        flight.end(work)
        stage, state = self._stages[work.step.key], future.state
        if state.name == STOPPED:
            stage.left.append(state.message or "")
        elif state.is_completed():
            receipt = future.result()
            stage.done(receipt)
            if maker_of(receipt) == self._run:
                self._efficiency.done(work.step.stage, receipt)
            schedule.done(work)
            self._dropping.made(work)
        elif state.name == DIED and not work.guarded:
            schedule.offer(replace(work, guarded=True))
        else:
            error = state.result(raise_on_failure=False)
            died = "its worker died, also while the block had a process of its own"
            message = died if state.name == DIED else state.message or repr(error)
            stage.failed(work, error if isinstance(error, BaseException) else None, message)
            for lost in schedule.lose(work):
                self._stages[lost.step.key].lose()

    def _settle(self) -> None:
        """Tell of stages that are over, and of which all that they read is: what they made, and whether that is anything."""
        if not self._whole:  # there may be more of each
            return
        for stage in [one for one in self._running if one.over]:
            read = {one.key for one in stages_read(stage.step.stage)}
            if self._halted or any(one.step.key in read for one in self._running):
                continue
            self._running.remove(stage)
            self._tell_items()
            if stage.begun or not stage.owed:
                stage.end()
            try:
                if self._only is None and not stage.lost and not stage.failures and not stage.step.stage.is_joined:
                    refuse_nothing_made(self._config, self._plan, stage.step)
            except NothingMade as error:
                self._refused = error
            if stage.step.stage.keeps_data:
                self._show(stage.step)
            else:  # what it shows must not hang on how much of it was dropped by now
                self._shown_last.append(stage.step)

    def _tell_items(self) -> None:
        """What stages that are over say of the items of others stands in the plan."""
        before, self._plan = self._plan, self._planning.as_known(self._plan)
        for key, stage in self._stages.items() if self._plan is not before else ():
            stage.grow(self._plan, self._plan.step(key), [])

    def _show(self, step: Step) -> None:
        publish_section(self._config.name, self.found.add(made_of(self._config, self._plan, self._plan.step(step.key))))

    def _show_cached(self, stage: StageRun) -> None:
        """One task run in Prefect for the blocks of a stage that were there before."""
        if stage.cached and not stage.step.stage.is_joined:
            after = before_cached(stage.step.stage, self._stages, self._reading.nodes)
            told = {"stage": stage.step.key, "blocks": stage.cached, "after": None}
            stage.nodes[CACHED] = submit(cached_task, "after", told, after).task_run_id

    def _tell_end(self) -> None:
        """Raise what kept the run from making everything."""
        self._reading.wait()
        self._tell_items()
        for stage in self._running:
            if stage.begun:
                stage.end()
        self._efficiency.end()
        if line := self._efficiency.line():
            self._log.tell(line)
        for step in self._shown_last:
            self._show(step)
        order = [step.key for step in self._plan.chosen]
        self.found.sections.sort(key=lambda section: order.index(section.key))
        stages = list(self._stages.values())
        left = [message for stage in stages for message in stage.left]
        if asked_to_stop() or left:
            at = ", ".join(stage.step.key for stage in self._running if stage.begun)
            raise Interrupted("; ".join([f"stopped at stage {at}" if at else "stopped", *left[:1], "what is done stays done"]))
        if error := as_one(stages):
            raise error
        if self._refused:
            raise self._refused
        self._reading.refuse_end()


def _put(notes: Notes, note: Callable[[PrefectFuture[Any]], None], future: PrefectFuture[Any]) -> None:
    notes.put(partial(note, future))
