"""Questions about a store that need no run: which items there are, which were given up, and whether its bytes are sound."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TypeVar

from configs.pipeline import Config
from configs.settings import ConfigError
from flows.plan import Plan, Source
from flows.stores.stored import stored_plan
from storage.credentials import mask_credentials
from storage.items import Block, Item
from storage.receipts import damage, drop_receipt, read_receipt, receipt_files
from tasks.ingest import ingest
from tasks.stage.kind import Stage

Known = TypeVar("Known")


def same_panoramas(one: Stage, other: Stage) -> bool:
    """Whether two stages give the same panoramas: those of one manifest, or what was taken from it alike."""
    if one.is_source and other.is_source:
        return ingest.manifest_url(one) == ingest.manifest_url(other)
    return one is other or (one.root == other.root and one.identity == other.identity)


def left_behind(plan: Plan, stage: Stage) -> set[str]:
    """Names of the items of a stage of which nothing is to be done: gone from their source, or forgotten."""
    return {item for source in plan.sources if same_panoramas(source.stage, stage.panoramas) for item in source.left}


def different(sources: Sequence[Source]) -> list[Source]:
    """The sources of a plan; of several that are one only the first."""
    first: dict[str, Source] = {}
    for source in sources:
        first.setdefault(ingest.manifest_url(source.stage), source)
    return list(first.values())


def called(plan: Plan) -> Callable[[str, str], str]:
    """What users call an item of a source, by the source's key and the item's name: ``SOURCE/ITEM`` if several have that name."""
    sources = different(plan.sources)
    names = Counter(chain.from_iterable(source.scan.known.names for source in sources)) if len(sources) > 1 else Counter()
    return lambda source, item: f"{source}/{item}" if names[item] > 1 else item


def find_item(plan: Plan, name: str) -> tuple[Stage, Item, Block]:
    """An item of a manifest that has a place, or one that a stage took from those, with the stage that gave it and its block;
    otherwise as :func:`known_item`."""
    stage, item, block = called_so(plan, name, list(_given(plan)))
    if block is None:
        raise ConfigError(f"item {name!r} has no labels; it was quarantined at {stage.key}: {item.reason}")
    return stage, item, block


def known_item(plan: Plan, name: str) -> tuple[Source, Item]:
    """An item of a manifest, and its source.

    Parameters
    ----------
    plan : Plan
    name : str
        That of the item, or ``SOURCE/ITEM``.

    Raises
    ------
    ConfigError
        No item, or several, have that name; the message names what to write.
    """
    known = [(source.stage, item, source) for source in different(plan.sources) for item in source.scan.known]
    _, item, source = called_so(plan, name, known)
    return source, item


def called_so(plan: Plan, name: str, known: Sequence[tuple[Stage, Item, Known]]) -> tuple[Stage, Item, Known]:
    """The one item that is called so."""
    found = [one for one in known if one[1].item == name] or [one for one in known if f"{one[0].key}/{one[1].item}" == name]
    if not found:
        names = [item.item for _, item, _ in known]
        manifests = " and ".join(mask_credentials(source.stage.settings.source.url) for source in plan.sources)
        raise ConfigError(f"item {name!r} is not known; {nearest_item(name, names, f'items in the manifest of {manifests}')}")
    refuse_ambiguous(name, [stage.key for stage, _, _ in found])
    return found[0]


def _given(plan: Plan) -> Iterator[tuple[Stage, Item, Block | None]]:
    """All items, each with the stage that gave it, and with its block if it has a place."""
    for source in different(plan.sources):
        blocks = {block.index: block for block in source.blocks}
        yield from ((source.stage, item, blocks.get(item.block)) for item in source.scan.known)
    known = {("", item.item) for source in plan.sources for item in source.scan.known}
    for step in (one for one in plan.steps if one.stage.kind.derive is not None):
        own = [(item, block) for block in step.blocks for item in block.items]
        for item, block in own:
            place = (block.name, item.item)
            if known.isdisjoint({place, ("", item.item)}):  # a clip that several stages work on is one
                known.add(place)
                yield step.stage, item, block


def refuse_ambiguous(name: str, sources: Sequence[str]) -> None:
    """Raise ConfigError if the items of several sources have a name."""
    if len(sources) > 1:
        told = " or ".join(f"{source}/{name}" for source in sources)
        raise ConfigError(f"item {name!r} is one of {' and one of '.join(sources)}; say which: {told}")


def nearest_item(name: str, names: Collection[str], what: str) -> str:
    """A hint for a name that is not among ``names``: the nearest one, or how many there are."""
    nearest = difflib.get_close_matches(name, names, n=1)
    return f"did you mean {nearest[0]!r}?" if nearest else f"there are {len(names)} {what}"


@dataclass(frozen=True)
class GivenUp:
    """An item that was given up: what users call it, of which panoramas it is, the first stage that gave it up, and why."""

    name: str
    item: str
    panoramas: Stage
    stage: str
    reason: str

    def as_json(self) -> dict[str, str]:
        """What a record says of it."""
        return {"item": self.name, "stage": self.stage, "reason": self.reason}


def given_up(plan: Plan) -> list[GivenUp]:
    """Every item that was given up, by name; each of a source once. Those that are gone from it, or forgotten, are none."""
    sources, name = different(plan.sources), called(plan)
    left = {(source.key, item) for source in sources for item in source.left}
    rows: dict[tuple[str, str], GivenUp] = {}
    for source in sources:
        known = source.scan.known
        for item in known.where(known.numbers("block") < 0):
            if item.reason:
                own = GivenUp(name(source.key, item.item), item.item, source.stage, source.key, item.reason)
                rows[source.key, item.item] = own
    told = {item for _, item in rows}
    for step in plan.chosen:
        for _, receipt in plan.receipts.of(step):
            for row in receipt.given_up:
                if row.inherited and row.item in told:  # of a video whoever works on its frames would tell once more
                    continue
                told.add(row.item)
                of, key = _source_of(step.stage, row.item, sources)
                rows.setdefault((key, row.item), GivenUp(name(key, row.item), row.item, of, step.key, row.reason))
    return sorted((one for place, one in rows.items() if place not in left), key=lambda one: one.name)


def _source_of(stage: Stage, item: str, sources: Sequence[Source]) -> tuple[Stage, str]:
    """The stage that gave an item of a stage, and its key; of what is over no panoramas of its own, the first that knows it."""
    if stage.over is not None:
        over = stage.panoramas
        return over, next((source.key for source in sources if same_panoramas(source.stage, over)), over.key)
    knowing = (source for source in sources if any(one.item == item for one in source.scan.known))
    first = next(knowing, None)
    return (first.stage, first.key) if first else (stage, stage.key)


def quarantined_items(plan: Plan) -> list[dict[str, str]]:
    """Every item that was given up, with the first stage that did so and its reason, as JSON values."""
    return [one.as_json() for one in given_up(plan)]


@dataclass(frozen=True)
class Broken:
    """A block whose bytes are not those of its receipt, or something else that is not what was written.

    ``fix`` says what to do; that of a block is withdrawn, and the next run makes it again.
    """

    stage: str
    block: str
    problems: list[str]
    fix: str = ""


def verify_store(config: Config) -> Iterator[tuple[int, Broken | None]]:
    """Read back every block of this config and compare it with its receipt.

    A broken block loses its receipt, so that the next run makes it again, and only it. Blocks of other pipelines are left to
    them.

    Yields
    ------
    (int, Broken or None)
        Bytes checked, and the damage if there is any; one pair a block.
    """
    for stage in stored_plan(config).definitions:
        for name in receipt_files(stage.root, stage.name, stage.identity.fingerprint) if stage.owes else ():
            url = stage.block_url(name)
            receipt = read_receipt(url)
            problems = damage(url, receipt) if receipt else ["receipt.json: cannot be parsed"]
            if problems and read_receipt(url) == receipt:  # another receipt by now is one of data made again
                drop_receipt(url)
            yield receipt.bytes if receipt else 0, Broken(stage.key, name, problems) if problems else None
