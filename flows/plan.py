"""What a run would do, and why: the config's wishes compared with the receipts that exist."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from configs.execution import Execution
from configs.pipeline import Config
from flows.estimates import estimate
from flows.reasons import differs_upstream_alone, reasons_of, source_reasons
from flows.receipts import Receipts
from flows.sources import Source
from storage.accepted import read_accepted
from storage.manifest import Block, Item
from storage.receipts import Receipt, dropped_blocks
from storage.runs import latest_run
from tasks.ingest import ingest
from tasks.ingest.ingest import Retry, Scan, wants_retry
from tasks.pipeline import sources, steps
from tasks.stage.grain import stands_for
from tasks.stage.job import Copies, Job
from tasks.stage.kind import Stage, Step, named_function, upstream_names
from tasks.stage.models import READ, models_now
from tasks.stage.rows import known_rows


@dataclass(frozen=True)
class StagePlan:
    """One stage of a plan. ``seconds`` and ``bytes`` are estimates from receipts of the stage, None where there are none.

    ``at_most``: it differs in nothing but what it reads; what comes out of that as it was before stops there.
    ``items`` are those of the blocks ``to_run`` that must be made; the rows of ``copied`` others lie in other blocks.
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


@dataclass(frozen=True)
class Plan:
    """The whole plan. ``owed`` names, by stage, the blocks that it must make, of the manifests as they are now.

    ``missing`` names, by stage of another pipeline, the blocks that are not there, and that no run of this one makes.
    ``receipts`` are those that were read to make the plan; a run adds what it makes. ``copies`` tells, by stage and owed block,
    which rows lie in other blocks.
    """

    stages: tuple[StagePlan, ...]
    sources: tuple[Source, ...]
    owed: Mapping[str, tuple[str, ...]]
    steps: tuple[Step, ...] = field(repr=False)
    receipts: Receipts = field(repr=False, compare=False)
    missing: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    copies: Mapping[str, Mapping[str, Copies]] = field(default_factory=dict, repr=False)

    @property
    def blocks(self) -> tuple[Block, ...]:
        """The blocks of all manifests."""
        return tuple(block for source in self.sources for block in source.blocks)

    @property
    def items(self) -> list[Item]:
        """All panoramas that the manifests know, those that were given up among them."""
        return [item for source in self.sources for item in source.scan.known]

    @property
    def notes(self) -> tuple[str, ...]:
        """What else a user should know of the sources, in sentences."""
        return tuple(dict.fromkeys(note for source in self.sources for note in source.scan.notes))

    @property
    def definitions(self) -> tuple[Stage, ...]:
        """The stages, without their blocks."""
        return tuple(step.stage for step in self.steps)

    def step(self, key: str) -> Step:
        """The stage that the file calls so, with its blocks."""
        return next(step for step in self.steps if step.key == key)

    def owed_blocks(self, step: Step) -> list[Block]:
        """The blocks of a stage that it must make."""
        owed = set(self.owed.get(step.key, ()))  # stages of other pipelines owe nothing
        return [block for block in step.blocks if block.name in owed]

    def job(self, step: Step, block: Block, run: str, execution: Execution) -> Job:
        """What makes a block that a stage owes, with what it may copy."""
        return Job(step.stage, block, run, execution, copies=self.copies.get(step.key, {}).get(block.name, {}))

    @property
    def anything_to_run(self) -> bool:
        """Whether a run would do any work."""
        return any(stage.to_run for stage in self.stages)

    def as_json(self) -> dict[str, Any]:
        """The plan as JSON values, complete enough to be compared with a later one."""
        return {
            "anything_to_run": self.anything_to_run,
            "stages": [asdict(stage) for stage in self.stages],
            "identities": {stage.key: stage.identity.as_json() for stage in self.definitions},
            "owed": {stage: list(blocks) for stage, blocks in self.owed.items()},
            "missing": {stage: list(blocks) for stage, blocks in self.missing.items()},
            "files": {source.key: sorted(entry.item for entry in source.scan.to_read) for source in self.sources},
            "notes": list(self.notes),
        }


def make_plan(
    config: Config,
    retry: Retry = False,
    scans: Mapping[str, Scan] | None = None,
    rehash: bool = True,
    receipts: Receipts | None = None,
) -> Plan:
    """Compare a config with its store.

    Parameters
    ----------
    config : Config
    retry : bool or names of items
        Count blocks with these quarantined items as owed, and read these quarantined files again.
    scans : mapping, optional
        By the key of a stage that reads a source, what is known of that; sources are listed if this is not given.
    rehash : bool
        False for whoever asks what is finished: that a run would read all files anew makes nothing owed.
    receipts : Receipts, optional
        What is known of the store's receipts.
    """
    given = [stage if rehash else ingest.as_read(stage) for stage in sources(config)]
    found = tuple(Source(one, scans[one.key] if scans else ingest.scan(one, of_source(retry, one.key))) for one in given)
    now = _steps(config, {source.key: source.blocks for source in found})
    any_ahead = any(source.pending or source.changed for source in found)
    ahead = _steps(config, {source.key: source.ahead for source in found}) if any_ahead else now
    comparison = _Comparison(config, found, now, retry, receipts or Receipts())
    plans = [_plan_source(source) for source in found]
    for step, grown in zip(now, ahead, strict=True):
        plans.append(comparison.compare(step, grown))
    return Plan(tuple(plans), found, comparison.owed, tuple(now), comparison.receipts, comparison.missing, comparison.copies)


def refuse_unfit(plan: Plan, keys: Collection[str] | None = None) -> None:
    """Let every stage that has blocks to make, or those of these keys, refuse a run before any runs. ConfigError says why."""
    to_run = {row.stage for row in plan.stages if row.to_run}
    for step in plan.steps:
        if step.key in to_run and step.stage.kind.check and (keys is None or step.key in keys):
            named_function(step.stage.kind.check)(step.stage, step.blocks)


def _steps(config: Config, blocks: Mapping[str, tuple[Block, ...]]) -> list[Step]:
    return [step for step in steps(config, lambda stage: blocks[stage.key]) if not step.stage.is_source]


class _Comparison:
    """The stages of a plan, compared one after the other with what is there; each may make blocks behind it owed again."""

    def __init__(self, config: Config, found: tuple[Source, ...], now: Sequence[Step], retry: Retry, receipts: Receipts) -> None:
        self.receipts, self.retry = receipts, retry
        self.there = {step.key: receipts.existing(step.stage) for step in now}
        self.previous = latest_run(config.root, config.name)
        self.to_come = {source.key: source.to_come for source in found}
        self.forgotten = {name for source in found for name in source.forgotten}
        self.owed: dict[str, tuple[str, ...]] = {}
        self.missing: dict[str, tuple[str, ...]] = {}
        self.copies: dict[str, Mapping[str, Copies]] = {}
        self.readers = [step.stage for step in now]
        self._again: set[str] = set()
        self._redone: set[tuple[str, str]] = set()
        self._taken: set[tuple[str, str]] = set()

    def compare(self, step: Step, grown: Step) -> StagePlan:
        """A stage now, and as it will be once files that are not read yet are there."""
        stage, there = step.stage, self.there[step.key]
        if not stage.owes:
            return self._of_other(step)
        satisfied = there | self._dropped(step)
        redo = self._to_redo(step)
        missing = self._missing(step, satisfied, redo)
        self.owed[step.key] = tuple(block.name for block in missing)
        reasons = reasons_of(stage, missing, redo, self.previous, self.forgotten) or self._waits(step)
        to_come = self.to_come.get(stage.panoramas.key, [])
        reasons += to_come
        # What is made of a whole data set has another fingerprint once that has grown.
        alike = grown.stage.identity == stage.identity
        then = satisfied if alike else self.receipts.existing(grown.stage)
        to_run = missing if grown.blocks == step.blocks and alike else self._missing(grown, then, redo)
        self._taken |= {(one.identity.fingerprint, block.name) for one in (stage, grown.stage) for block in (*missing, *to_run)}
        if len(to_run) > len(missing) and not to_come:
            reasons.append("panoramas that it learns from are new")
        self.copies[step.key] = known_rows(stage, missing, self.receipts.found(stage))
        ahead = self.copies[step.key]
        if to_run is not missing:
            ahead = known_rows(grown.stage, to_run, self.receipts.found(grown.stage))
        copied = sum(map(len, ahead.values()))
        items = sum(len(block.items) for block in to_run) - copied
        cached = len(grown.blocks) - len(to_run)
        accepted = read_accepted(stage.root, stage.name, stage.identity.fingerprint) if to_run else None
        reasons += [f"accepted by {accepted['by']}: {accepted['because']}"] if accepted else []
        less = bool(to_run) and not to_come and not redo and (bool(accepted) or differs_upstream_alone(stage, self.previous))
        seconds, size = estimate(stage, items, self.receipts, copied)
        counts = (cached, len(to_run), items)
        return StagePlan(step.key, stage.identity.fingerprint, *counts, tuple(reasons), seconds, size, less, copied)

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
        if missing or not step.blocks:
            self.missing[step.key] = missing
        owes = f"owes {len(missing)} of {len(step.blocks)} blocks" if step.blocks else "has read no panoramas yet"
        reasons = (f"of another pipeline, which {owes}",) * (step.key in self.missing)
        return StagePlan(step.key, step.stage.identity.fingerprint, len(step.blocks) - len(missing), 0, 0, reasons, 0.0, 0)

    def _dropped(self, step: Step) -> set[str]:
        """Blocks that ``gc`` dropped, and that nothing needs since all that is made from them has its receipt."""
        stage = step.stage
        if not stage.kind.droppable:
            return set()
        dropped = set(dropped_blocks(stage.root, stage.name, stage.identity.fingerprint))
        return dropped & read_by_all(self.readers, stage, self.there) if dropped else set()

    def _reads_redone(self, stage: Stage, name: str) -> bool:
        """Whether a block was made of one that stands for everything, and that is made once more."""
        wholes = [read for read in upstream_names(stage.inputs).values() if read.kind.grain == "all"]
        return any((read.key, stage.block_of(read, "")) in self._redone for read in wholes)

    def _to_redo(self, step: Step) -> set[str]:
        """Finished blocks with an item to try again or made with another model, and those that stand for one of them."""
        there, stage = self.there[step.key], step.stage
        redo = {name for name in there if self._again & set(_stood_for(step, name)) - {name}} if self._again else set()
        redo |= {name for name in there if self._reads_redone(stage, name)}
        if retry := of_source(self.retry, stage.panoramas.key):
            own = {block.name for block in step.blocks}
            receipts = {name: self.receipts.get(stage, name) for name in there & own}
            redo |= {name for name, receipt in receipts.items() if receipt and _has_one_to_retry(receipt, retry)}
        models = models_now(stage)
        if models:
            made = {name: self.receipts.get(stage, name) for name in there}
            redo |= {name for name, receipt in made.items() if receipt and receipt.about.get(READ, models) != models}
        self._again |= redo
        self._redone |= {(stage.key, name) for name in redo}
        return redo


def _stood_for(step: Step, name: str) -> list[str]:
    return next((stands_for(block) for block in step.blocks if block.name == name), [name])


def read_by_all(definitions: Sequence[Stage], read: Stage, there: Mapping[str, set[str]]) -> set[str]:
    """Blocks from which every stage that reads the stage ``read`` has made its own, by the blocks that are ``there``."""
    readers = [there[stage.key] for stage in definitions if stage.key in there and stage.reads(read)]
    return set.intersection(*readers) if readers else set()


def of_source(retry: Retry, source: str) -> Retry:
    """Which given-up items of one source are to be tried again: ``SOURCE/ITEM`` names one where several have such an item."""
    if isinstance(retry, bool):
        return retry
    return {name.removeprefix(f"{source}/") for name in retry} | set(retry)


def _has_one_to_retry(receipt: Receipt, retry: Retry) -> bool:
    return any(wants_retry(retry, row.item) for row in receipt.given_up)


def _plan_source(source: Source) -> StagePlan:
    scan = source.scan
    return StagePlan(
        source.key,
        source.stage.identity.fingerprint,
        cached=len(scan.present) - len(scan.to_read) - len(scan.checked),
        to_run=len(scan.to_read) + len(scan.checked),
        items=len(scan.to_read),
        reasons=tuple(source_reasons(source.stage, scan)),
    )
