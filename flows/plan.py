"""What a run would do, and why: the config's wishes compared with the receipts that exist."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any

from configs.schema import Config
from flows.stores.receipts import Receipts
from storage.fingerprint import differences
from storage.manifest import Block, Item, blocks_of
from storage.receipts import Receipt, dropped_blocks, receipt_files
from storage.runs import latest_run
from storage.urls import children, join
from tasks.ingest import ingest
from tasks.ingest.entries import Entry
from tasks.ingest.ingest import Retry, Scan, wants_retry
from tasks.pipeline import Stage, Step, steps
from tasks.stage.grain import stands_for


@dataclass(frozen=True)
class StagePlan:
    """One stage of a plan. ``seconds`` and ``bytes`` are estimates from receipts of the stage, None where there are none."""

    stage: str
    fingerprint: str
    cached: int
    to_run: int
    items: int
    reasons: tuple[str, ...]
    seconds: float | None = None
    bytes: int | None = None


@dataclass(frozen=True)
class Plan:
    """The whole plan. ``owed`` names the blocks that each stage must make, of the manifest as it is now: ``blocks``.

    ``receipts`` are those that were read to make it; a run adds what it makes.
    """

    stages: tuple[StagePlan, ...]
    blocks: tuple[Block, ...]
    owed: Mapping[str, tuple[str, ...]]
    scan: Scan = field(repr=False)
    steps: tuple[Step, ...] = field(repr=False)
    receipts: Receipts = field(repr=False, compare=False)

    @property
    def definitions(self) -> tuple[Stage, ...]:
        """The stages, without their blocks."""
        return tuple(step.stage for step in self.steps)

    def owed_blocks(self, step: Step) -> list[Block]:
        """The blocks of a stage that it must make."""
        owed = set(self.owed[step.name])
        return [block for block in step.blocks if block.name in owed]

    @property
    def anything_to_run(self) -> bool:
        """Whether a run would do any work."""
        return any(stage.to_run for stage in self.stages)

    def as_json(self) -> dict[str, Any]:
        """The plan as JSON values, complete enough to be compared with a later one."""
        return {
            "anything_to_run": self.anything_to_run,
            "stages": [asdict(stage) for stage in self.stages],
            "identities": {stage.name: stage.identity.as_json() for stage in self.definitions},
            "owed": {stage: list(blocks) for stage, blocks in self.owed.items()},
            "files": sorted(entry.item for entry in self.scan.to_read),
            "notes": list(self.scan.notes),
        }


def make_plan(config: Config, retry: Retry = False, scan: Scan | None = None, receipts: Receipts | None = None) -> Plan:
    """Compare a config with its store.

    Parameters
    ----------
    config : Config
    retry : bool or names of items
        Count blocks with these quarantined items as owed, and read these quarantined files again.
    scan : Scan, optional
        What is known of the source; it is listed if this is not given.
    receipts : Receipts, optional
        What is known of the store's receipts.
    """
    scan = scan or ingest.scan(config, retry)
    receipts = receipts or Receipts(config.root)
    blocks, pending = tuple(blocks_of(scan.known)), _pending_blocks(config, scan)
    now = steps(config, blocks)
    ahead = steps(config, [*blocks, *pending]) if pending else now
    there = {step.name: receipts.existing(step.stage.identity) for step in now}
    dropped = _dropped_and_not_needed(config, [step.stage for step in now], there)
    previous = latest_run(config.root, config.name)
    plans = [_plan_ingest(config, scan)]
    owed: dict[str, tuple[str, ...]] = {}
    again: set[str] = set()
    for step, grown in zip(now, ahead, strict=True):
        satisfied = dropped.get(step.name, set())
        redo = _to_redo(receipts, step, retry, again, there[step.name])
        missing = _missing(step, there[step.name] | satisfied, redo)
        owed[step.name] = tuple(block.name for block in missing)
        reasons = _reasons(config, step.stage, missing, redo, previous)
        if pending:
            count = sum(len(block.items) for block in pending)
            reasons.append(f"new items: {count} in {len(pending)} block{'s' * (len(pending) > 1)}")
        # What is made of a whole data set has another fingerprint once that has grown.
        alike = grown.stage.identity == step.stage.identity
        then = there[step.name] if alike else receipts.existing(grown.stage.identity)
        to_run = _missing(grown, then | satisfied, redo) if pending else missing
        items = sum(len(block.items) for block in to_run)
        cached = len(grown.blocks) - len(to_run)
        estimate = _estimate(receipts, config, step.stage, items)
        fingerprint = step.stage.identity.fingerprint
        plans.append(StagePlan(step.name, fingerprint, cached, len(to_run), items, tuple(reasons), *estimate))
    return Plan(tuple(plans), blocks, owed, scan, tuple(now), receipts)


def _missing(step: Step, there: set[str], redo: set[str]) -> list[Block]:
    """The blocks of a stage that are not ``there``, or are to be made once more."""
    return [block for block in step.blocks if block.name not in there or block.name in redo]


def _to_redo(known: Receipts, step: Step, retry: Retry, again: set[str], there: set[str]) -> set[str]:
    """Finished blocks with an item to try again, and those that stand for one; all of them join ``again``."""
    if not retry:
        return set()
    receipts = {name: known.get(step.name, step.stage.identity.fingerprint, name) for name in there}
    redo = {name for name, receipt in receipts.items() if receipt and _has_one_to_retry(receipt, retry)}
    redo |= {block.name for block in step.blocks if block.name in receipts and again & set(stands_for(block)) - {block.name}}
    again |= redo
    return redo


def _dropped_and_not_needed(config: Config, definitions: Sequence[Stage], there: Mapping[str, set[str]]) -> dict[str, set[str]]:
    """Blocks of patch labels that ``gc`` dropped, and that nothing needs since all that is made from them has its receipt."""
    labels = [stage for stage in definitions if stage.name.startswith("label.")]
    dropped = {stage.name: set(dropped_blocks(config.root, stage.name, stage.identity.fingerprint)) for stage in labels}
    if not any(dropped.values()):
        return {}
    return {name: blocks & read_by_all(definitions, name, there) for name, blocks in dropped.items()}


def read_by_all(definitions: Sequence[Stage], name: str, there: Mapping[str, set[str]]) -> set[str]:
    """Blocks from which every stage that reads the stage ``name`` has made its own, by the blocks that are ``there``."""
    return set.intersection(*(there[stage.name] for stage in definitions if name in stage.identity.upstream))


def _has_one_to_retry(receipt: Receipt, retry: Retry) -> bool:
    return any(wants_retry(retry, row.item) for row in receipt.given_up)


def _plan_ingest(config: Config, scan: Scan) -> StagePlan:
    known = {item.item: item for item in scan.known}
    new = [entry.item for entry in scan.to_read if entry.item not in known]
    again = [entry.item for entry in scan.to_read if entry.item in known and ingest.unchanged(entry, known[entry.item])]
    changed = [entry.item for entry in scan.to_read if entry.item in known and not ingest.unchanged(entry, known[entry.item])]
    reasons = [f"new files: {len(new)}"] * bool(new)
    for word, items in (("changed files", changed), (f"files to read again{' (ingest.rehash)' * config.ingest.rehash}", again)):
        reasons += [f"{word}: {', '.join(items[:3])}{f' ... {len(items)} in all' * (len(items) > 3)}"] * bool(items)
    reasons += [f"files that a stopped run has read, to be placed: {len(scan.checked)}"] * bool(scan.checked)
    return StagePlan(
        "ingest",
        ingest.identity(config).fingerprint,
        cached=len(scan.present) - len(scan.to_read) - len(scan.checked),
        to_run=len(scan.to_read) + len(scan.checked),
        items=len(scan.to_read),
        reasons=tuple(reasons),
    )


def _pending_blocks(config: Config, scan: Scan) -> list[Block]:
    """The blocks that files not yet read will make (if all of them are good); changed files keep their block.

    Their names are not those that they will have, which follow from the files' bytes.
    """
    placed = {item.item: item.block for item in scan.known if item.block >= 0}
    known = {item.item for item in scan.known} if config.ingest.rehash else set()
    read = [Entry(item.item, item.uri, item.size, item.stamp) for item in scan.checked if not item.reason]
    new = [entry for entry in [*scan.to_read, *read] if entry.item not in placed and entry.item not in known]
    first = max(placed.values(), default=-1) + 1
    items = [Item(entry.item, entry.uri, "", 0, 0, entry.size, entry.stamp) for entry in new]
    groups = [tuple(items[start : start + config.block_size]) for start in range(0, len(items), config.block_size)]
    return [Block(first + number, group) for number, group in enumerate(groups)]


def _reasons(
    config: Config, stage: Stage, missing: Sequence[Block], redo: set[str], previous: Mapping[str, Any] | None
) -> list[str]:
    """Why blocks of the manifest are owed, most telling reason first."""
    if not missing:
        return []
    reasons = [f"quarantined items tried again: {len(redo)} block(s)"] * bool(redo)
    rest = [block for block in missing if block.name not in redo]
    if not rest:
        return reasons
    before = (previous or {}).get("identities", {}).get(stage.name)
    if before is None:
        return [*reasons, "first run"]
    if before["fingerprint"] != stage.identity.fingerprint:
        return [*reasons, *(str(change) for change in differences(before, stage.identity.as_json()))]
    known = set((previous or {}).get("blocks", ()))
    numbers = {_number(name) for name in known}
    folder = join(config.root, "stages", stage.name, stage.identity.fingerprint)
    on_disk = set(children(folder))
    causes: dict[str, int] = {}
    for block in rest:
        made_of = stands_for(block)
        if not numbers.issuperset(map(_number, made_of)):
            cause = "new items"
        elif not known.issuperset(made_of):
            cause = "items changed"
        else:
            cause = "receipt missing" if block.name in on_disk else "not run yet"
        causes[cause] = causes.get(cause, 0) + 1
    return [*reasons, *(f"{cause}: {count} block{'s' * (count > 1)}" for cause, count in sorted(causes.items()))]


def _number(block: str) -> str:
    return block.split("-")[0]


def _estimate(receipts: Receipts, config: Config, stage: Stage, items: int, sample: int = 8) -> tuple[float | None, int | None]:
    """Seconds of work and bytes for some items, from the receipts of earlier blocks of the stage, or of one that does the same
    work, under any fingerprint."""
    if not items:
        return 0.0, 0
    seconds, sizes = _rates(receipts, config, stage.name, stage.work, sample)
    if not seconds and stage.like:
        seconds, sizes = _rates(receipts, config, stage.like.stage, stage.work, sample)
    if not seconds:
        return None, None
    return round(median(seconds) * items, 1), int(median(sizes) * items)


def _rates(receipts: Receipts, config: Config, stage: str, work: int, sample: int) -> tuple[list[float], list[float]]:
    """Seconds (as if each item had taken so much work) and bytes of an item, block by block."""
    seconds, sizes = [], []
    for fingerprint in children(join(config.root, "stages", stage)):
        for block in receipt_files(config.root, stage, fingerprint)[:sample]:
            receipt = receipts.get(stage, fingerprint, block)
            done = [row for row in receipt.items if row.state == "done"] if receipt else []
            if receipt and done:
                took = receipt.about.get("work")
                took = took if isinstance(took, int) and took > 0 else 1  # anything may stand in a store
                seconds.append(receipt.made["seconds"] / len(done) * work / took)
                sizes.append(receipt.bytes / len(done))
    return seconds, sizes


def items_by_name(plan: Plan) -> dict[str, Item]:
    """All items of the manifest by name."""
    return {item.item: item for item in plan.scan.known}
