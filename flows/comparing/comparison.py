"""What every stage of a plan owes: its blocks compared with the receipts that there are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from configs.pipeline import Config
from flows.comparing.cutoff import Cutoff
from flows.comparing.estimates import estimate
from flows.comparing.lost import Lost
from flows.comparing.reasons import lacking, reasons_of
from flows.comparing.runs_before import RunsBefore
from flows.receipts import Receipts
from flows.sources import Source
from storage.items import Block
from storage.receipts import Receipt, dropped_blocks
from storage.records.accepted import read_accepted
from tasks.ingest.ingest import Retry, wants_retry
from tasks.stage.grain import read_blocks
from tasks.stage.job import Copies
from tasks.stage.kind import Stage, Step, upstream_names
from tasks.stage.late import LateBlock, is_foreseen
from tasks.stage.models import READ, models_now
from tasks.stage.reuse.rows import known_rows


@dataclass(frozen=True)
class StagePlan:
    """One stage of a plan. ``seconds`` and ``bytes`` are estimates from receipts of the stage, None where there are none.

    ``at_most``: blocks are there that differ in nothing but what they read; what comes out of that as it was before stops there.
    ``items`` are those of the blocks ``to_run`` that must be made; the rows of ``copied`` others lie in other blocks, and of
    ``gone`` others, which are forgotten, or whose files are gone, nothing is made. ``about``: ``items`` are foreseen, as what it
    reads is to tell them yet. ``tells`` says how many things its blocks give, where these are no items of them.
    """

    stage: str
    fingerprint: str
    cached: int
    to_run: int
    items: int
    reasons: tuple[str, ...]
    seconds: float | None = None
    bytes: int | None = None
    at_most: bool = False
    copied: int = 0
    gone: int = 0
    about: bool = False
    tells: str = ""


@dataclass(frozen=True)
class Ahead:
    """A stage once all files are read: its blocks, those that it must make, which of their rows lie in other blocks, and of which
    of their panoramas nothing is made."""

    step: Step
    owed: frozenset[str]
    copies: Mapping[str, Copies]
    lost: Mapping[str, frozenset[str]] = field(default_factory=dict)


class Comparison:
    """The stages of a plan, compared one after the other with what is there; each may make blocks behind it owed again."""

    def __init__(self, config: Config, found: tuple[Source, ...], now: Sequence[Step], retry: Retry, receipts: Receipts) -> None:
        self.receipts, self.retry = receipts, retry
        self._steps = now
        self.there = {step.key: receipts.existing(step.stage) for step in now}
        self._runs = RunsBefore(config, found)
        self.to_come = {source.key: source.to_come for source in found}
        self.forgotten = {name for source in found for name in source.forgotten}
        self.owed: dict[str, tuple[str, ...]] = {}
        self.missing: dict[str, tuple[str, ...]] = {}
        self.copies: dict[str, Mapping[str, Copies]] = {}
        self.ahead: dict[str, Ahead] = {}
        self.satisfied = with_dropped(now, self.there)
        self._lost = Lost(found, receipts)
        self._redone: set[tuple[str, str]] = set()
        self._taken: set[tuple[str, str]] = set()

    def compare(self, step: Step, grown: Step) -> StagePlan:
        """A stage now, and as it will be once files that are not read yet are there."""
        stage = step.stage
        if not stage.owes:
            return self._of_other(step)
        if stage.is_joined:
            return self._of_joined(step)
        redo = self._to_redo(step)
        missing = self._missing(step, self.satisfied[step.key], redo)
        to_run = self._to_run(step, grown, missing, redo)
        self._taken |= {(one.identity.fingerprint, block.name) for one in (stage, grown.stage) for block in (*missing, *to_run)}
        self.owed[step.key] = tuple(block.name for block in missing)
        copies = self.copies[step.key] = known_rows(stage, missing, self._known(stage))
        if to_run is not missing:
            copies = known_rows(grown.stage, to_run, self._known(grown.stage))
        lost = self._lost.find(grown.stage, to_run, copies)
        self.ahead[step.key] = Ahead(grown, frozenset(block.name for block in to_run), copies, lost)
        copied, gone = (sum(map(len, found.values())) for found in (copies, lost))
        items = sum(len(block.items) for block in to_run) - copied - gone
        accepted = read_accepted(stage.root, stage.name, stage.identity.fingerprint) if to_run else None
        reasons = self._reasons(step, missing, to_run, redo)
        reasons += [f"accepted by {accepted['by']}: {accepted['because']}"] if accepted else []
        less = not self.to_come.get(stage.origin.key) and not redo
        less = less and (bool(accepted) or Cutoff(grown.stage, self.receipts).may_adopt(to_run))
        seconds, size = estimate(stage, items, self.receipts, copied)
        counts = (len(grown.blocks) - len(to_run), len(to_run), items)
        about, tells = any(map(is_foreseen, to_run)), self._tells(grown)
        made = (step.key, stage.identity.fingerprint, *counts, tuple(reasons))
        return StagePlan(*made, seconds, size, less, copied, gone, about, tells)

    def _tells(self, step: Step) -> str:
        """How many things a stage gives, where these are no items of its blocks."""
        if step.stage.kind.tells is None or not step.blocks:
            return ""
        told = [step.stage.kind.tells(step.stage, block, self.receipts.in_list) for block in step.blocks]
        counts = [one for one in told if one is not None]
        if len(counts) < len(told):
            return ""
        about = "" if all(known for _, known in counts) else "about "
        return f"{about}{sum(count for count, _ in counts)} {step.stage.kind.gives}"

    def _to_run(self, step: Step, grown: Step, missing: list[Block], redo: set[str]) -> list[Block]:
        """What a stage must make once all files are read: ``missing`` itself where they change nothing of it."""
        # What is made of a whole data set has another fingerprint once that has grown.
        alike = grown.stage.identity == step.stage.identity
        if grown.blocks == step.blocks and alike:
            return missing
        return self._missing(grown, self.satisfied[step.key] if alike else self.receipts.existing(grown.stage), redo)

    def _reasons(self, step: Step, missing: Sequence[Block], to_run: Sequence[Block], redo: set[str]) -> list[str]:
        stage = step.stage
        before = self._runs.of(stage) if missing else None
        reasons = lacking(stage) or reasons_of(stage, missing, redo, before, self.forgotten) or self._waits(step)
        to_come = self.to_come.get(stage.origin.key, [])
        grows = len(to_run) > len(missing) and not to_come
        return [*reasons, *to_come, *["panoramas that it learns from are new"] * grows]

    def _missing(self, step: Step, there: set[str], redo: set[str]) -> list[Block]:
        """The blocks of a stage that are not there, or are to be made once more; none that an earlier stage alike makes."""
        fingerprint = step.stage.identity.fingerprint
        return [
            block
            for block in step.blocks
            if (block.name not in there or block.name in redo) and (fingerprint, block.name) not in self._taken
        ]

    def _waits(self, step: Step) -> list[str]:
        """Why a stage has no blocks, where a stage of another pipeline that it reads owes them."""
        ahead = [one.key for one in upstream_names(step.stage.inputs).values() if one.key in self.missing]
        return [f"waits for {', '.join(ahead)}"] if ahead and not step.blocks else []

    def _of_other(self, step: Step) -> StagePlan:
        there = self.there[step.key]
        missing = tuple(block.name for block in step.blocks if block.name not in there)
        self.ahead[step.key] = Ahead(step, frozenset(), {})
        if missing or not step.blocks:
            self.missing[step.key] = missing
        owes = f"owes {len(missing)} of {len(step.blocks)} blocks" if step.blocks else "has read no panoramas yet"
        reasons = (f"of another pipeline, which {owes}",) * (step.key in self.missing)
        return StagePlan(step.key, step.stage.identity.fingerprint, len(step.blocks) - len(missing), 0, 0, reasons, 0.0, 0)

    def _of_joined(self, step: Step) -> StagePlan:
        self.owed[step.key] = ()
        self.ahead[step.key] = Ahead(step, frozenset(), {})
        readers = [one.key for one in self._steps if one.stage.reads(step.stage)]
        reasons = lacking(step.stage) or [f"is made within {readers[0]}, item by item"]
        return StagePlan(step.key, step.stage.identity.fingerprint, 0, 0, 0, tuple(reasons), 0.0, 0)

    def _reads_redone(self, stage: Stage, block: Block) -> bool:
        """Whether a block was made of one that is made once more."""
        read = upstream_names(stage.inputs).values()
        return any((one.key, name) in self._redone for one in read for name in read_blocks(stage, block, one))

    def _known(self, stage: Stage) -> Mapping[str, Receipt]:
        """The receipts whose rows may be copied: none where a model that made them will be another."""
        return {} if self._learned_anew(stage) else self.receipts.found(stage)

    def _learned_anew(self, stage: Stage) -> bool:
        """Whether a stage reads, itself or through others, what stands for everything and is made once more."""
        keys = {key for key, _ in self._redone}
        read = upstream_names(stage.inputs).values()
        return any((one.kind.grain == "all" and one.key in keys) or self._learned_anew(one) for one in read)

    def _holds_others(self, stage: Stage, block: Block) -> bool:
        """Whether a block was made of other items than what it reads says now: that was made again, and came out otherwise."""
        receipt = None if is_foreseen(block) else self.receipts.found(stage).get(block.name)
        return receipt is not None and [row.item for row in receipt.items] != [item.item for item in block.items]

    def _to_redo(self, step: Step) -> set[str]:
        """Finished blocks with an item to try again, made with another model, or made of one that is made once more."""
        there, stage = self.there[step.key], step.stage
        redo = {block.name for block in step.blocks if self._redone and block.name in there and self._reads_redone(stage, block)}
        redo |= {block.name for block in step.blocks if isinstance(block, LateBlock) and self._holds_others(stage, block)}
        if retry := of_source(self.retry, stage.origin.key):
            own = {block.name for block in step.blocks}
            receipts = {name: self.receipts.get(stage, name) for name in there & own}
            redo |= {name for name, receipt in receipts.items() if receipt and _has_one_to_retry(receipt, retry)}
        models = models_now(stage)
        if models:
            made = {name: self.receipts.get(stage, name) for name in there}
            redo |= {name for name, receipt in made.items() if receipt and receipt.about.get(READ, models) != models}
        self._redone |= {(stage.key, name) for name in redo}
        return redo


def with_dropped(steps: Sequence[Step], there: Mapping[str, set[str]]) -> dict[str, set[str]]:
    """Blocks of each stage that nobody need make: those that are ``there``, and those whose data was dropped and read before."""
    satisfied = dict(there)
    for step in reversed(steps):  # readers first: of what they made the data may be dropped, too
        stage = step.stage
        if stage.is_joined:
            satisfied[step.key] = read_by_all(steps, stage, satisfied)
        elif not stage.keeps_data:
            dropped = set(dropped_blocks(stage.root, stage.name, stage.identity.fingerprint))
            satisfied[step.key] = there[step.key] | (dropped & read_by_all(steps, stage, satisfied) if dropped else set())
    return satisfied


def read_by_all(steps: Sequence[Step], read: Stage, there: Mapping[str, set[str]]) -> set[str]:
    """Blocks from which every stage that reads the stage ``read`` has made its own, by the blocks that are ``there``."""
    own = {block.name for step in steps if step.stage.identity == read.identity for block in step.blocks}
    readers = [step for step in steps if step.stage.reads(read)]
    return set.intersection(*(own - _needed_by(step, read, own, there[step.key]) for step in readers)) if readers else set()


def _needed_by(step: Step, read: Stage, names: set[str], there: set[str]) -> set[str]:
    """Of the blocks of a stage those that a reader has yet to read: all, where it has no blocks yet."""
    owed = [block for block in step.blocks if block.name not in there]
    return {name for block in owed for name in read_blocks(step.stage, block, read)} if step.blocks else names


def of_source(retry: Retry, source: str) -> Retry:
    """Which given-up items of one source are to be tried again: ``SOURCE/ITEM`` names one where several have such an item."""
    if isinstance(retry, bool):
        return retry
    return {name.removeprefix(f"{source}/") for name in retry} | set(retry)


def _has_one_to_retry(receipt: Receipt, retry: Retry) -> bool:
    return any(wants_retry(retry, row.item) for row in receipt.given_up)
