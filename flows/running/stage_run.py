"""One stage within a run: what it owes, what came of it so far, and who is told."""

from __future__ import annotations

import errno
import time
from collections.abc import Sequence
from uuid import UUID

from configs.pipeline import Config
from flows.comparing.cutoff import Cutoff
from flows.errors import RunFailed
from flows.plan import Plan
from flows.running.block_task import BlockTask, block_task
from flows.running.schedule import Work
from flows.running.workers import Workers
from flows.stores.items import left_behind
from flows.telling.artifacts import StageProgress
from flows.telling.lineage_events import RunEvents
from flows.telling.progress import observer
from flows.telling.run_log import RunLog, counted
from storage.items import Block
from storage.receipts import Receipt
from tasks.stage.kind import Step
from tasks.stage.late import is_foreseen

LEAST_TRIED = 20  # items, before a share of quarantined ones means anything
HOPELESS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES)


class StageRun:
    """What becomes of the blocks of one stage. ``stop`` says why the run may submit no more, ``left`` what was left for the next.

    ``nodes`` are task runs in Prefect that stand for its blocks, by name; under the empty name what stands for those that were
    there before.
    """

    def __init__(
        self, config: Config, plan: Plan, step: Step, works: Sequence[Work], workers: Workers, events: RunEvents, log: RunLog
    ) -> None:
        self.owed: list[Block] = []
        self.nodes: dict[str, UUID] = {}
        self.failures: list[tuple[str, str, str]] = []
        self.lost = 0
        self.left: list[str] = []
        self.stop = ""
        self.items, self.seconds, self.items_owed = 0, 0.0, 0
        self._foreseen: dict[str, int] = {}
        self._config, self._workers, self._events, self._log = config.name, workers, events, log
        self._max_quarantined = config.execution.max_quarantined
        self._unsettled = self._quarantined = self._tried = 0
        self._started = 0.0
        self._progress: StageProgress | None = None
        self.grow(plan, step, works)

    def grow(self, plan: Plan, step: Step, works: Sequence[Work]) -> None:
        """There is more to make of it, as a newer plan says."""
        self.step, self._plan = step, plan
        self.owed += [work.block for work in works]
        self.items_owed += sum(len(work.block.items) for work in works)
        self._foreseen |= {work.block.name: len(work.block.items) for work in works if is_foreseen(work.block)}
        self._unsettled += len(works)
        self.cutoff = Cutoff(step.stage, plan.receipts)
        self.task: BlockTask = block_task(step.stage, self._workers, observer())
        self._left_behind = left_behind(plan, step.stage)
        if self._progress is not None and works:
            observer().stage_grew(step.key, self.items_owed)
            self._progress.grew(len(self.owed))

    @property
    def cached(self) -> int:
        """Blocks that were there before."""
        owed = {block.name for block in self.owed}.union(self._plan.owed.get(self.step.key, ()))
        return sum(block.name not in owed for block in self.step.blocks)

    @property
    def over(self) -> bool:
        """Whether all of its blocks are made, or cannot be."""
        return self._unsettled == 0

    @property
    def error(self) -> RunFailed | None:
        """What kept it from making all that it owes."""
        if self.stop:
            return RunFailed(f"stage {self.step.key}: {self.stop}", self.failures)
        if not self.failures:
            return None
        shown = "\n  ".join(f"{block}: {message}" for _, block, message in self.failures[:5])
        count = f"{len(self.failures)} of {len(self.owed)} blocks"
        return RunFailed(f"stage {self.step.key}: {count} could not be made:\n  {shown}", self.failures)

    @property
    def begun(self) -> bool:
        """Whether any of its blocks was."""
        return self._progress is not None

    def begin(self, more: bool) -> None:
        """Its first block is begun; there may be ``more`` as files are read."""
        if self._progress is None:
            self._events.stage_started(self.step.stage)
            self._log.stage_started(self.step.key, len(self.owed), self.items_owed, self.cached, more)
            self._started = time.monotonic()
            observer().stage_started(self.step.key, self.items_owed)
            self._progress = StageProgress(self._config, self.step.key, len(self.owed))

    def end(self) -> None:
        """All is told of it that there is."""
        if self._progress is None:
            self._events.stage_started(self.step.stage)
        else:
            self._progress.ended()
            error = str(self.error or "").partition("\n")[0]
            self._log.stage_ended(self.step.key, self.items, self._quarantined, time.monotonic() - self._started, error)
        self._events.stage_ended(self.step.stage, self.step.blocks, self.owed, self._plan.receipts, self.error)

    def done(self, receipt: Receipt) -> None:
        """A block is made."""
        self._plan.receipts.keep(self.step.stage, receipt)
        self._unsettled -= 1
        own = [row for row in receipt.quarantined if not row.inherited]
        if foreseen := self._foreseen.pop(receipt.block, 0):
            self.items_owed += len(receipt.items) - foreseen
            observer().stage_grew(self.step.key, self.items_owed)
        self.items += len(receipt.items)
        self.seconds += receipt.made["seconds"]
        bad = [row for row in own if row.item not in self._left_behind]
        self._log.given_up(self.step.key, bad)
        self._quarantined += len(bad)
        self._tried += sum(row.item not in self._left_behind for row in receipt.items)
        given_up = sum(row.item not in self._left_behind for row in receipt.quarantined)
        observer().items_done(self.step.key, len(receipt.items), given_up)
        if self._progress:
            self._progress.block_done()
        if bad and self._tried >= LEAST_TRIED and self._quarantined > self._max_quarantined * self._tried:
            self.stop = (
                f"{self._quarantined} of {self._tried} items were given up, more than execution.max_quarantined = "
                f"{self._max_quarantined:g}; the last: {bad[-1].item}: {bad[-1].reason}"
            )

    def failed(self, work: Work, error: BaseException | None, message: str) -> None:
        """A block could not be made."""
        self._unsettled -= 1
        self.failures.append((self.step.key, work.block.name, message))
        if isinstance(error, OSError) and error.errno in HOPELESS:
            self.stop = message

    def lose(self) -> None:
        """A block was not tried, since one that it reads could not be made."""
        self._unsettled -= 1
        self.lost += 1


def as_one(stages: Sequence[StageRun]) -> RunFailed | None:
    """All that kept stages from making everything, and how many blocks were not tried for it; None if nothing did."""
    errors, lost = [error for stage in stages if (error := stage.error)], sum(stage.lost for stage in stages)
    told = [str(error) for error in errors]
    told += [f"not tried, since they are made from these: {counted(lost, 'block')}"] if lost else []
    return RunFailed("\n".join(told), [failure for error in errors for failure in error.failures]) if errors else None
