"""Rows by their keys: which items of a block need not be made, since another block of the stage has their rows.

A key is made of all that a row is made of: the stage's fingerprint, the models that were read for it, the digest of the item's
file, and the facts that the stage, or one that it reads, declares to read of an item. What is not in it cannot change the row.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from storage.arrays import DATA
from storage.fingerprint import canonical_json, digest
from storage.manifest import Block, Item
from storage.receipts import Receipt
from tasks.stage.job import Copies
from tasks.stage.kind import Facts, Stage
from tasks.stage.models import MODEL, models_now

KEY_DIGITS = 32


def row_keys(stage: Stage, items: Sequence[Item]) -> list[str]:
    """The key of every item's row; empty for an item that was given up, or of which nothing was read yet, and for all of them
    where a row may depend on other items."""
    if not items or not made_item_by_item(stage):
        return [""] * len(items)
    facts = facts_of(stage)
    own = [stage.identity.fingerprint, {one.name: dict(models) for one, models in _models(stage)}]
    return [_key([*own, item.digest], item, facts) if item.uri and item.digest and not item.reason else "" for item in items]


def _key(made_of: list[Any], item: Item, facts: Facts) -> str:
    return digest(canonical_json([*made_of, {fact: _fact(item, fact) for fact in facts}]))[:KEY_DIGITS]


def _fact(item: Item, fact: str) -> Any:
    """What an item says of a fact."""
    if fact == "name":
        return item.item
    _, _, key = fact.partition(".")
    return item.metadata.get(key) if key else item.metadata


def made_item_by_item(stage: Stage) -> bool:
    """Whether a row depends on its own item alone, models apart, which keys name."""
    read = [one for one in _read(stage) if not one.is_source and one.kind.gives != MODEL]
    return stage.kind.grain == "block" and all(made_item_by_item(one) for one in read)


def facts_of(stage: Stage) -> Facts:
    """The facts that a stage reads of an item, itself or through what earlier stages made of it.

    Raises
    ------
    ValueError
        It declares one that there is not.
    """
    own = set(stage.kind.facts(stage.settings, stage.inputs))
    for fact in own:
        if fact not in ("name", "metadata") and not fact.startswith("metadata."):
            raise ValueError(f"stage {stage.key}: {fact!r} is no fact of an item; declare `name`, `metadata` or `metadata.KEY`")
    return tuple(sorted(own.union(*(facts_of(one) for one in _read(stage) if one.kind.grain == "block"))))


def _models(stage: Stage) -> Iterator[tuple[Stage, Mapping[str, str]]]:
    """The models, by their digests now, that a stage reads, and that those read which made its items' rows."""
    if any(one.kind.gives == MODEL for one in _read(stage)):
        yield stage, models_now(stage)
    for one in _read(stage):
        if one.kind.grain == "block":
            yield from _models(one)


def _read(stage: Stage) -> list[Stage]:
    return [one for name in stage.inputs for one in stage.stages(name)]


def known_rows(stage: Stage, owed: Sequence[Block], receipts: Mapping[str, Receipt]) -> dict[str, Copies]:
    """Which rows of blocks that a stage owes lie in others that it has made, by the names of those owed.

    Rows of a block with the same number come first, of several the last made. Blocks that are owed themselves, though they have a
    receipt, are no source.

    Parameters
    ----------
    stage : Stage
    owed : blocks that it must make
    receipts : by block, those under the stage's fingerprint
    """
    making = {block.name for block in owed}
    sources = [receipt for name, receipt in receipts.items() if name not in making and _may_be_copied(receipt)]
    if not sources:
        return {}
    wanted = {block.name: row_keys(stage, block.items) for block in owed}
    places = _places({key for keys in wanted.values() for key in keys if key}, sources)
    found = {block.name: _copies(block, wanted[block.name], places) for block in owed} if places else {}
    return {name: copies for name, copies in found.items() if copies}


def _may_be_copied(receipt: Receipt) -> bool:
    """Whether a block has rows with keys, and no files of which nobody could say whose they are."""
    return any(row.key for row in receipt.items) and all(name.startswith(f"{DATA}/") for name in receipt.files)


Places = Mapping[str, Sequence[tuple[Receipt, int]]]


def _places(wanted: set[str], sources: Sequence[Receipt]) -> Places:
    """Where rows with the wanted keys lie."""
    places: dict[str, list[tuple[Receipt, int]]] = {}
    for receipt in sources:
        for slot, row in enumerate(receipt.items):
            if row.key in wanted and row.state == "done":
                places.setdefault(row.key, []).append((receipt, slot))
    return places


def _copies(block: Block, keys: Sequence[str], places: Places) -> Copies:
    """Where the rows of one block lie; only in blocks that say the same of their outputs, as one block does."""
    number = f"{block.name.partition('-')[0]}-"
    copies: dict[int, tuple[str, int]] = {}
    about: Mapping[str, Any] | None = None
    for slot, key in enumerate(keys):
        near = sorted(places.get(key, ()), key=lambda place: _farness(place[0], number))
        for receipt, there in near:
            about = receipt.about if about is None else about
            if receipt.about == about:
                copies[slot] = (receipt.block, there)
                break
    return copies


def _farness(receipt: Receipt, number: str) -> tuple[bool, float, str]:
    started = receipt.made.get("started")
    return not receipt.block.startswith(number), -started if isinstance(started, float) else 0.0, receipt.block
