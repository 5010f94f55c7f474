"""One item of one stage, made from its stored inputs in a folder of its own: the store is read, and nothing is written there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from configs.execution import Execution
from configs.pipeline import Config
from configs.settings import ConfigError
from configs.trial import Trial
from flows.invocation import typed
from flows.plan import Plan, make_plan
from flows.stores.items import nearest_item
from flows.stores.stored import stored_plan
from flows.trials import behind
from flows.trying.rows import Items, Row
from storage.items import Block
from storage.receipts import read_receipt
from tasks.ingest import ingest
from tasks.pipeline import sources
from tasks.stage.job import Job
from tasks.stage.kind import Stage, Step, stages_read

NOT_TRIED = "not tried"


@dataclass(frozen=True, eq=False)
class Tryout:
    """A stage whose items can be made one by one, in the plan by what its store knows."""

    plan: Plan
    items: Items

    @property
    def step(self) -> Step:
        """The stage with its blocks."""
        return self.items.step

    def name(self, item: str) -> str:
        """An item's own name, of one that may be called SOURCE/ITEM. ConfigError if there is no such item."""
        own = item.removeprefix(f"{self.step.stage.panoramas.key}/")
        if item not in self.items.known and own not in self.items.known:
            hint = nearest_item(item, self.items.known.keys(), f"items of {self.step.key}")
            raise ConfigError(f"--item {item}: {self.step.key} makes no such item of what the store knows; {hint}")
        return item if item in self.items.known else own

    def made(self, names: Iterable[str], execution: Execution, scratch: str) -> Iterator[Row]:
        """The rows of items, made anew below ``scratch``; items of one block together.

        Raises
        ------
        ConfigError
            What an item is made from is not there; the message says what makes it.
        """
        wanted: dict[str, tuple[Block, set[str]]] = {}
        for name in names:
            block = self._whole_inputs(name)
            wanted.setdefault(block.name, (block, set()))[1].add(name)
        for block, own in wanted.values():
            yield from self._made(block, own, execution, scratch)

    def _made(self, block: Block, names: set[str], execution: Execution, scratch: str) -> Iterator[Row]:
        stage = replace(self.step.stage, root=scratch)
        others = {one.item: NOT_TRIED for one in block.items if one.item not in names}
        job = Job(stage, block, "try", execution, given_up=others)
        stage.make(job)
        receipt = read_receipt(job.url)
        assert receipt is not None
        yield from (Row(job.url, block, receipt, slot) for slot, one in enumerate(block.items) if one.item in names)

    def _whole_inputs(self, item: str) -> Block:
        """The block with an item of which all is there that the stage reads."""
        read = _inputs(self.step.stage)
        trials = next((self.plan.receipts.found(one) for one in read if one.kind.grain != "all"), {})
        for block in self.items.blocks_with(item, trials):
            if not self._lacking(read, block):
                return block
        raise ConfigError(self._refusal(item, self._lacking(read, self.items.known[item][1])))

    def _lacking(self, read: Sequence[Stage], block: Block) -> list[Stage]:
        stage = self.step.stage
        return [one for one in read if self.plan.receipts.get(one, stage.block_of(one, block.name)) is None]

    def _refusal(self, item: str, lacking: Sequence[Stage]) -> str:
        told = f"{self.step.key} of {item}: what it is made from is not there, as the config says it now"
        told += f": {', '.join(f'{one.key} {one.identity.fingerprint}' for one in lacking)}"
        if foreign := [one.key for one in lacking if not one.owes]:
            return f"{told}; run the other pipeline that gives {', '.join(foreign)}"
        return f"{told}; make it with {_command(self.plan, item, lacking)}"


def tryout(config: Config, key: str, item: str | None = None) -> Tryout:
    """A stage to be tried; ``item`` names one that may be known of a trial alone.

    Raises
    ------
    ConfigError
        There is no such stage, or it makes no rows of items.
    """
    plan = stored_plan(config)
    step = _step(plan, key)
    if not _knows(step, item):
        plan = _tried_plan(config, item)
        step = plan.step(key)
        if item is not None and not _knows(step, item):
            ahead = _inputs(step.stage) or [step.stage.panoramas]
            raise ConfigError(f"{item} was not read yet; make what {key} is made from with {_command(plan, item, ahead)}")
    return Tryout(plan, Items(step))


def _knows(step: Step, item: str | None) -> bool:
    """Whether a stage has an item, or any at all, by what a plan knows."""
    known = Items(step).known.keys()
    return bool(known) if item is None else not known.isdisjoint({item, item.removeprefix(f"{step.stage.panoramas.key}/")})


def _tried_plan(config: Config, item: str | None) -> Plan:
    """The plan of all that trials have read, and of an item: places are given once all files are read."""
    scans = {one.key: ingest.scan(ingest.as_read(one)) for one in sources(config)}
    read = [one.item for scan in scans.values() for one in scan.checked]
    trial = Trial(items=tuple(dict.fromkeys([*([item] if item else []), *read])))
    return make_plan(config, scans=scans, rehash=False, trial=trial)


def _step(plan: Plan, key: str) -> Step:
    """A stage of a plan that makes rows of panoramas."""
    found = next((step for step in plan.steps if step.key == key), None)
    if found is None:
        if key in [source.key for source in plan.sources]:
            raise ConfigError(f"{key}: reads the source, and labels nothing; try a stage that reads it")
        raise ConfigError(f"{key}: no stage is called so; {nearest_item(key, [one.key for one in plan.steps], 'stages')}")
    kind = found.stage.kind
    if not found.stage.owes:
        raise ConfigError(f"{key}: is of another pipeline; try it with that one's file")
    if kind.grain == "all" or (kind.grain == "derived" and kind.derive is None):
        fewer = typed("run", trial=Trial(limit=10, until=(key,)))
        raise ConfigError(f"{key}: is made of many panoramas at once, and has no rows of items; make it of a few with {fewer}")
    return found


def _inputs(stage: Stage) -> list[Stage]:
    """What a stage reads of other stages, sources apart: those have no rows."""
    return [one for one in stages_read(stage) if not one.is_source and not one.is_joined]


def _command(plan: Plan, item: str, lacking: Sequence[Stage]) -> str:
    """What makes stages for one item; for all, where something is learned from all on the way."""
    until = tuple(one.key for one in lacking)
    ways = {one.key for one in lacking}.union(*(behind(one) for one in lacking))
    learns = any(step.stage.kind.grain == "all" for step in plan.steps if step.key in ways)
    return typed("run", trial=Trial(items=() if learns else (item,), until=until))
