"""What a run would do, and why: the config's wishes compared with the receipts that exist."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from configs.execution import Execution
from configs.pipeline import Config
from configs.trial import WHOLE, Trial
from flows.comparing.comparison import Ahead, Comparison, StagePlan, of_source
from flows.comparing.reasons import source_reasons
from flows.receipts import Receipts
from flows.sources import Source
from flows.trials import narrowed
from storage.items import Block, Items
from storage.receipts import maker_of
from tasks.ingest import ingest
from tasks.ingest.ingest import Retry, Scan
from tasks.pipeline import sources, steps
from tasks.stage.grain import waits_for_all
from tasks.stage.graph import Weigh
from tasks.stage.job import Copies, Job
from tasks.stage.kind import Stage, Step
from tasks.stage.late import as_known, is_foreseen, steps_as_known
from tasks.stage.plain import Found, named_function


@dataclass(frozen=True)
class Plan:
    """The whole plan. ``owed`` names, by stage, the blocks that it must make, of the manifests as they are now.

    ``missing`` names, by stage of another pipeline, the blocks that are not there, and that no run of this one makes.
    ``receipts`` are those that were read to make the plan; a run adds what it makes. ``copies`` tells, by stage and owed block,
    which rows lie in other blocks, and ``ahead`` how each stage will be once all files are read. ``trial`` says what it was cut
    down to: it has all ``steps`` of the file, and ``stages`` and ``chosen`` are those that it makes.
    """

    stages: tuple[StagePlan, ...]
    sources: tuple[Source, ...]
    owed: Mapping[str, tuple[str, ...]]
    steps: tuple[Step, ...] = field(repr=False)
    receipts: Receipts = field(repr=False, compare=False)
    missing: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    copies: Mapping[str, Mapping[str, Copies]] = field(default_factory=dict, repr=False)
    trial: Trial = WHOLE
    ahead: Mapping[str, Ahead] = field(default_factory=dict, repr=False, compare=False)

    @property
    def chosen(self) -> tuple[Step, ...]:
        """The stages that a run of it makes, with their blocks."""
        keys = {row.stage for row in self.stages}
        return tuple(step for step in self.steps if step.key in keys)

    @property
    def lacks(self) -> Mapping[str, str]:
        """By stage, why weights are not here: with any, the plan is partial, and more may be cached than it says."""
        return {key: why for step in self.chosen for key, why in step.stage.lacks.items()}

    @property
    def blocks(self) -> tuple[Block, ...]:
        """The blocks of all manifests."""
        return tuple(block for source in self.sources for block in source.blocks)

    @property
    def items(self) -> Items:
        """All panoramas that the manifests know, those that were given up among them."""
        return ingest.NONE.plus(*(source.scan.known for source in self.sources))

    @property
    def notes(self) -> tuple[str, ...]:
        """What else a user should know of the sources and of stages, in sentences."""
        scanned = [note for source in self.sources for note in source.scan.notes]
        telling = [step.stage for step in self.chosen if step.stage.kind.notes]
        told = [note for stage in telling for note in named_function(stage.kind.notes)(stage)]
        owing = [(step.stage, blocks) for step in self.chosen if step.stage.kind.outlook and (blocks := self.owed_blocks(step))]
        ahead = [note for stage, blocks in owing for note in named_function(stage.kind.outlook)(stage, blocks)]
        return tuple(dict.fromkeys([*scanned, *told, *ahead]))

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
        """What makes a block that a stage owes, with what it may copy. All that it reads is there by now, and tells its items."""
        copies = self.copies.get(step.key, {}).get(block.name, {})
        before = self.receipts.get(step.stage, block.name)
        known = as_known(block, self.receipts.get)
        return Job(step.stage, known, run, execution, copies=copies, replaces=maker_of(before) if before else "")

    def as_known(self) -> Plan:
        """The plan with the items of blocks whose makers can tell them by now; itself if it has them all."""
        if not any(is_foreseen(block) for step in self.steps for block in step.blocks):
            return self
        return replace(self, steps=steps_as_known(self.steps, self.receipts.get))

    @property
    def anything_to_run(self) -> bool:
        """Whether a run would do any work."""
        return any(stage.to_run for stage in self.stages)

    def as_json(self) -> dict[str, Any]:
        """The plan as JSON values, complete enough to be compared with a later one."""
        return {
            "trial": list(self.trial.words),
            "partial": bool(self.lacks),
            "weights_not_here": dict(self.lacks),
            "anything_to_run": self.anything_to_run,
            "stages": [asdict(stage) for stage in self.stages],
            "identities": {stage.key: stage.identity.as_json() for stage in self.definitions},
            "owed": {stage: list(blocks) for stage, blocks in self.owed.items()},
            "missing": {stage: list(blocks) for stage, blocks in self.missing.items()},
            "files": {source.key: sorted(source.scan.to_read.names) for source in self.sources},
            "notes": list(self.notes),
        }


def make_plan(
    config: Config,
    retry: Retry = False,
    scans: Mapping[str, Scan] | None = None,
    rehash: bool = True,
    receipts: Receipts | None = None,
    trial: Trial = WHOLE,
    weigh: Weigh = "all",
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
    trial : Trial
        What it is cut down to.
    weigh : Weigh
        With ``here`` the plan is partial where weights are not: such stages, and those behind, count all blocks.
    """
    given = [stage if rehash else ingest.as_read(stage) for stage in sources(config)]

    def look(one: Stage) -> Scan:
        return scans[one.key] if scans else ingest.scan(one, of_source(retry, one.key))

    part, receipts = narrowed(trial, config, given, look), receipts or Receipts()
    found = receipts.in_list
    now = _steps(config, {source.key: source.blocks for source in part.sources}, weigh, found)
    any_ahead = any(source.ahead != source.blocks for source in part.sources)
    ahead = _steps(config, {source.key: source.ahead for source in part.sources}, weigh, found) if any_ahead else now
    comparison = Comparison(config, part.sources, now, retry, receipts)
    plans = [_plan_source(source) for source in part.sources if source.key in part.reach.makes]
    compared = [comparison.compare(step, grown) for step, grown in zip(now, ahead, strict=True) if step.key in part.reach.looks]
    part.refuse_owed(comparison.owed)
    plans += [row for row in compared if row.stage in part.reach.makes]
    owed = {key: blocks for key, blocks in comparison.owed.items() if key in part.reach.makes}
    known = (comparison.receipts, comparison.missing, comparison.copies)
    return Plan(tuple(plans), part.sources, owed, tuple(now), *known, trial, comparison.ahead)


def refuse_unfit(plan: Plan, whole: bool = True) -> None:
    """Let every stage that has blocks to make, and of which all is known, refuse a run before any runs. ConfigError says why.

    Unless all panoramas are read (``whole``), stages that wait for all of them are not asked yet.
    """
    to_run = {row.stage for row in plan.stages if row.to_run}
    for step in plan.chosen:
        asked = whole or not waits_for_all(step.stage)
        if asked and step.key in to_run and step.stage.kind.check and not step.stage.lacks:
            named_function(step.stage.kind.check)(step.stage, step.blocks)


def _steps(config: Config, blocks: Mapping[str, tuple[Block, ...]], weigh: Weigh, found: Found) -> list[Step]:
    return [step for step in steps(config, lambda stage: blocks[stage.key], weigh, found) if not step.stage.is_source]


def _plan_source(source: Source) -> StagePlan:
    scan = source.scan
    return StagePlan(
        source.key,
        source.stage.identity.fingerprint,
        cached=scan.listed - len(scan.to_read) - len(scan.checked),
        to_run=len(scan.to_read) + len(scan.checked),
        items=len(scan.to_read),
        reasons=tuple(source_reasons(source.stage, scan)),
    )
