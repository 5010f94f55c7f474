"""Rows by their keys: which items of a block need not be made, since another block of the stage has their rows.

A key is made of all that a row is made of: the stage's fingerprint, the models that were read for it, the digest of the item's
file, and the facts that the stage, or one that it reads, declares to read of an item. What is not in it cannot change the row.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from storage.arrays import DATA
from storage.fingerprint import canonical_json, digest
from storage.items import Block, Item
from storage.receipts import Receipt
from storage.rows import keyed
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
    own = canonical_json([stage.identity.fingerprint, {one.name: dict(models) for one, models in _models(stage)}])
    return [_key(own, item, facts) if item.uri and item.digest and not item.reason else "" for item in items]


def _key(own: str, item: Item, facts: Facts) -> str:
    """The digest of a list as canonical JSON, whose beginning ``own`` is that of all items of a stage."""
    rest = canonical_json([item.digest, {fact: _fact(item, fact) for fact in facts}])
    return digest(f"{own[:-1]},{rest[1:]}")[:KEY_DIGITS]


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

    Rows of a block with the same number come first, of several the last made. A block that is owed itself though it has a
    receipt, to try some of its items again, is a source for nobody but itself.

    Parameters
    ----------
    stage : Stage
    owed : blocks that it must make
    receipts : by block, those under the stage's fingerprint
    """
    if not owed:
        return {}
    making = {block.name for block in owed}
    before = {name: receipts[name] for name in making & receipts.keys() if may_be_copied(receipts[name])}
    sources = [receipt for name, receipt in receipts.items() if name not in making and may_be_copied(receipt)]
    sources.sort(key=_age)
    near: dict[str, list[Receipt]] = {}
    for receipt in sources:
        near.setdefault(_number(receipt.block), []).append(receipt)
    found = {block.name: _Search(row_keys(stage, block.items)) for block in owed} if sources or before else {}
    for name, search in found.items():  # most rows are found here, and no table of all rows is needed
        own = [before[name]] if name in before else []
        search.take(_places(search.wanted, [*own, *near.get(_number(name), ())]))
    elsewhere = _places({key for search in found.values() for key in search.wanted}, sources)
    for search in found.values():
        search.take(elsewhere)
    return {name: search.copies for name, search in found.items() if search.copies}


def may_be_copied(receipt: Receipt) -> bool:
    """Whether a block has rows with keys, and no files of which nobody could say whose they are."""
    return keyed(receipt.items) and all(name.startswith(f"{DATA}/") for name in receipt.files)


def _number(block: str) -> str:
    return block.partition("-")[0]


def _age(receipt: Receipt) -> tuple[float, str]:
    """Orders receipts, the last made first."""
    started = receipt.made.get("started")
    return -started if isinstance(started, float) else 0.0, receipt.block


Places = Mapping[str, Sequence[tuple[Receipt, int]]]


def _places(wanted: set[str], sources: Sequence[Receipt]) -> Places:
    """Where rows with the wanted keys lie, in the order of the sources."""
    places: dict[str, list[tuple[Receipt, int]]] = {}
    for receipt in sources if wanted else ():
        for slot, row in enumerate(receipt.items):
            if row.key in wanted and row.state == "done":
                places.setdefault(row.key, []).append((receipt, slot))
    return places


class _Search:
    """Where the rows of one block lie; only in blocks that say the same of their outputs, as one block does."""

    def __init__(self, keys: Sequence[str]) -> None:
        self._keys = keys
        self._about: Mapping[str, Any] | None = None
        self.copies: dict[int, tuple[str, int]] = {}

    @property
    def wanted(self) -> set[str]:
        """Keys of the rows that were not found yet."""
        return {key for slot, key in enumerate(self._keys) if key and slot not in self.copies}

    def take(self, places: Places) -> None:
        """Note where those rows lie."""
        for slot, key in enumerate(self._keys) if places else ():
            for receipt, there in places.get(key, ()) if slot not in self.copies else ():
                self._about = receipt.about if self._about is None else self._about
                if receipt.about is self._about or receipt.about == self._about:
                    self.copies[slot] = (receipt.block, there)
                    break
