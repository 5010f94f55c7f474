"""A run within Prefect: each block goes through all stages that can be made of it, and is a task run a stage, with its edges."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cached_property, partial
from queue import Empty, SimpleQueue
from typing import Any
from uuid import UUID

from prefect.futures import PrefectFuture
from prefect.utilities.annotations import quote

from configs.pipeline import Config
from flows.errors import Interrupted, RunFailed
from flows.plan import Plan
from flows.report import Found
from flows.running.block_task import DIED, STOPPED, cached_task, submit
from flows.running.drain import asked_to_stop
from flows.running.efficiency import Efficiency
from flows.running.nothing_made import NothingMade, refuse_nothing_made
from flows.running.outlook import Outlook
from flows.running.schedule import Key, Schedule, Work, parts_of, works_of
from flows.running.stage_run import StageRun
from flows.running.subflow import in_subflow
from flows.running.watch import Watch
from flows.running.workers import Workers
from flows.stores.made import made_of
from flows.telling.lineage_events import RunEvents
from flows.telling.run_log import RunLog, counted
from flows.telling.shown import publish_section
from storage.receipts import drop_data, maker_of
from tasks.stage.grain import read_blocks
from tasks.stage.job import Job
from tasks.stage.kind import Stage, Step, stages_read

LOOK_SECONDS = 1.0
"""Between two looks at what is asked of the run, while nothing is finished."""


class Engine:
    """Makes what a plan owes; ``found`` is what its stages show, ``efficiency`` how well networks were kept busy.

    Parameters
    ----------
    config : Config
    plan : Plan
    run : str
    only : mapping of stage to block names, optional
        Make just these of the blocks that are owed, and judge no stage by what it has.
    workers : Workers
    events : RunEvents
    nodes : mapping
        By the key of a source the task run in Prefect that stands for it.
    watch : Watch
        What is asked of the run in Prefect.
    log : RunLog
    """

    def __init__(
        self,
        config: Config,
        plan: Plan,
        run: str,
        only: Mapping[str, Sequence[str]] | None,
        workers: Workers,
        events: RunEvents,
        nodes: Mapping[str, UUID],
        watch: Watch,
        log: RunLog,
    ) -> None:
        self.found = Found()
        self._config, self._plan, self._run, self._workers = config, plan, run, workers
        self._judged = only is None
        self._works = works_of(plan, only)
        self._stages = {
            step.key: StageRun(config, plan, step, [work for work in self._works if work.step is step], workers, events, log)
            for step in plan.chosen
        }
        self._running = [*self._stages.values()]
        estimates = {row.stage: row.seconds for row in plan.stages}
        self.efficiency = Efficiency(workers.settings.workers)
        self._log, self._outlook = log, Outlook(self._running, estimates, workers.settings.workers)
        self._sources, self._watch = nodes, watch
        self._shown_last: list[Step] = []
        self._lost: set[Key] = set()
        self._refused: NothingMade | None = None

    def make(self) -> Found:
        """Make all of it, and return what the stages show.

        Raises
        ------
        Interrupted
            The run was asked to stop; what was submitted is finished, or left where the next run goes on.
        RunFailed
            After all others are done, if any block could not be made; at once, if going on makes no sense.
        """
        for stage in self._running:
            self._show_cached(stage)
        self._settle()
        parts = parts_of(self._works, self._config.execution.task_runs_per_flow_run)
        for number, part in enumerate(parts, 1):
            if self._halted:
                break
            if len(parts) == 1 or part[0].chain is None:
                self._make(part)
            else:
                self._make_in_subflow(part, number, len(parts))
        self._tell_end()
        return self.found

    @property
    def _halted(self) -> bool:
        """Whether no more may be submitted."""
        stages = self._stages.values()
        return self._refused is not None or asked_to_stop() or any(stage.stop or stage.left for stage in stages)

    @property
    def _goes_on(self) -> bool:
        """Whether the next block may be begun now."""
        return not self._halted and not self._watch.paused

    def _make(self, works: Sequence[Work]) -> None:
        """Make works within the flow run that is going on: as many at once as there are workers."""
        schedule = Schedule(works, self._workers.window, self._lost)
        for work in works:
            if work.key in schedule.lost:
                self._stages[work.step.key].lose()
        finished: SimpleQueue[tuple[Work, PrefectFuture[Any]]] = SimpleQueue()
        flying = on_gpu = 0
        while True:
            self._settle()
            while flying < self._workers.at_once and self._goes_on:
                ready = schedule.next(idle=not flying, gpu=on_gpu < self._workers.gpu_blocks)
                if ready is None:
                    break
                self._submit(ready).add_done_callback(partial(_put, finished, ready))
                flying += 1
                on_gpu += ready.on_gpu
            if not flying and (self._halted or not self._watch.paused):
                break
            with suppress(Empty):
                work, future = finished.get(timeout=LOOK_SECONDS)
                flying -= 1
                on_gpu -= work.on_gpu
                self._note(schedule, work, future)
            if line := self._outlook.line():
                self._log.tell(line)
        self._lost |= schedule.lost

    def _make_in_subflow(self, works: Sequence[Work], number: int, parts: int) -> None:
        """Make works in a flow run of their own."""
        node = in_subflow("blocks", f"{self._run} {number} of {parts}", len(works), lambda: self._make(works))
        if node:  # later edges cannot begin at a task run of another flow run
            for work in works:
                self._stages[work.step.key].nodes[work.block.name] = node
        self._workers.recycle()

    def _submit(self, work: Work) -> PrefectFuture[Any]:
        stage = self._stages[work.step.key]
        stage.begin()
        self.efficiency.begun(work.step.stage)
        future = submit(stage.task, "job", {"job": quote(self._job(work))}, self._before(work))
        stage.nodes[work.block.name] = future.task_run_id
        return future

    def _job(self, work: Work) -> Job:
        """What makes a block, or copies the one that it would come out as."""
        job = self._plan.job(work.step, work.block, self._run, self._config.execution)
        return self._stages[work.step.key].cutoff.told(replace(job, guarded=work.guarded))

    def _before(self, work: Work) -> set[UUID]:
        """Task runs that stand for what a block reads."""
        nodes: set[UUID] = set()
        for read in stages_read(work.step.stage):
            if read.key in self._sources:
                nodes.add(self._sources[read.key])
            elif stage := self._stages.get(read.key):
                own = [stage.nodes.get(name) or stage.nodes.get("") for name in read_blocks(work.step.stage, work.block, read)]
                nodes |= {node for node in own if node}
        return nodes

    def _note(self, schedule: Schedule, work: Work, future: PrefectFuture[Any]) -> None:
        """What came of a block."""
        future.wait()
        stage, state = self._stages[work.step.key], future.state
        if state.name == STOPPED:
            stage.left.append(state.message or "")
        elif state.is_completed():
            receipt = future.result()
            stage.done(receipt)
            if maker_of(receipt) == self._run:
                self.efficiency.done(work.step.stage, receipt)
            schedule.done(work)
            self._drop_read(work)
        elif state.name == DIED and not work.guarded:
            schedule.offer(replace(work, guarded=True))
        else:
            error = state.result(raise_on_failure=False)
            died = "its worker died, also while the block had a process of its own"
            message = died if state.name == DIED else state.message or repr(error)
            stage.failed(work, error if isinstance(error, BaseException) else None, message)
            for lost in schedule.lose(work):
                self._stages[lost.step.key].lose()

    def _drop_read(self, work: Work) -> None:
        """Drop the data of blocks that a block has read last, of stages that keep it only so long."""
        for read in [one for one in stages_read(work.step.stage) if one.owes and not one.keeps_data]:
            for name in read_blocks(work.step.stage, work.block, read):
                readers = self._readers[read.identity.fingerprint, name]
                if all(self._plan.receipts.get(stage, block) for stage, block in readers):
                    drop_data(read.block_url(name))
                    self._plan.receipts.drop(read, name)

    @cached_property
    def _readers(self) -> Mapping[Key, Sequence[tuple[Stage, str]]]:
        """Who reads each block of stages whose data goes then."""
        readers: dict[Key, list[tuple[Stage, str]]] = defaultdict(list)
        for step in [one for one in self._plan.steps if not one.stage.is_joined]:
            for read in [one for one in stages_read(step.stage) if not one.keeps_data]:
                for block in step.blocks:
                    for name in read_blocks(step.stage, block, read):
                        readers[read.identity.fingerprint, name].append((step.stage, block.name))
        return readers

    def _settle(self) -> None:
        """Tell of stages that are over, and of which all that they read is: what they made, and whether that is anything."""
        for stage in [one for one in self._running if one.over]:
            read = {one.key for one in stages_read(stage.step.stage)}
            if self._halted or any(one.step.key in read for one in self._running):
                continue
            self._running.remove(stage)
            if stage.begun or not stage.owed:
                stage.end()
            try:
                if self._judged and not stage.lost and not stage.failures and not stage.step.stage.is_joined:
                    refuse_nothing_made(self._config, self._plan, stage.step)
            except NothingMade as error:
                self._refused = error
            if stage.step.stage.keeps_data:
                self._show(stage.step)
            else:  # what it shows must not hang on how much of it was dropped by now
                self._shown_last.append(stage.step)

    def _show(self, step: Step) -> None:
        publish_section(self._config.name, self.found.add(made_of(self._config, self._plan, step)))

    def _show_cached(self, stage: StageRun) -> None:
        """One task run in Prefect for the blocks of a stage that were there before."""
        if stage.cached and not stage.step.stage.is_joined:
            read = [one.key for one in stages_read(stage.step.stage)]
            known = [self._sources.get(key) or (self._stages[key].nodes.get("") if key in self._stages else None) for key in read]
            after = [node for node in known if node]
            future = submit(cached_task, "after", {"stage": stage.step.key, "blocks": stage.cached, "after": None}, after)
            stage.nodes[""] = future.task_run_id

    def _tell_end(self) -> None:
        """Raise what kept the run from making everything."""
        for stage in self._running:
            if stage.begun:
                stage.end()
        self.efficiency.end()
        if line := self.efficiency.line():
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
        errors = [error for stage in stages if (error := stage.error)]
        if errors:
            raise _as_one(errors, sum(stage.lost for stage in stages))
        if self._refused:
            raise self._refused


def _as_one(errors: Sequence[RunFailed], lost: int) -> RunFailed:
    """All that kept a run from making everything, and how many blocks were not tried for it."""
    told = [str(error) for error in errors]
    told += [f"not tried, since they are made from these: {counted(lost, 'block')}"] if lost else []
    return RunFailed("\n".join(told), [failure for error in errors for failure in error.failures])


def _put(finished: SimpleQueue[tuple[Work, PrefectFuture[Any]]], work: Work, future: PrefectFuture[Any]) -> None:
    finished.put((work, future))
