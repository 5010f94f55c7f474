"""What of a store holds the labels of some panoramas: blocks of all fingerprints, and what learned from them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from storage.erasing import Stored, stored_blocks
from storage.items import Item, blocks_of
from storage.manifest import SUFFIX, read_manifest
from storage.places import manifests
from storage.records.forgotten import Forgotten, as_told
from tasks.earlier import stage_read
from tasks.stage.grain import ALL

Place = tuple[str, str]
"""A stage and a fingerprint."""


@dataclass(frozen=True)
class Wanted:
    """Panoramas by all that tells them, in all manifests of a store.

    ``names`` and ``digests`` are theirs, ``numbers`` those of their blocks, and ``blocks`` these blocks' names with their labels
    in them. ``others`` are names and digests of other items that are called so, and ``spared`` the blocks of those; ``known`` are
    all names of all manifests.
    """

    names: set[str] = field(default_factory=set)
    digests: set[str] = field(default_factory=set)
    numbers: set[int] = field(default_factory=set)
    blocks: set[str] = field(default_factory=set)
    others: set[tuple[str, str]] = field(default_factory=set)
    spared: set[str] = field(default_factory=set)
    known: set[str] = field(default_factory=set)

    def is_of(self, item: str) -> bool:
        """Whether an item is called as one of them, or was taken from one: frames are named below their clip or video."""
        while item and item not in self.names and item not in self.known:
            item = item.rpartition("/")[0]
        return item in self.names

    def is_row(self, item: str, digest: str) -> bool:
        """Whether a row of a published version is one of them: by its pixels, or, older ones of them, by its name."""
        return digest in self.digests or (self.is_of(item) and (item, digest) not in self.others)


def wanted(root: str, records: Sequence[Forgotten], all_records: Sequence[Forgotten]) -> Wanted:
    """The panoramas of some records, in every manifest of the store. Manifests know them still: only records say that they go."""
    found = Wanted(digests={one for record in records for one in record.digests})
    named = {(record.source, record.item) for record in records}
    of_manifest = {url: read_manifest(url) for url in manifests(root)}
    for url, items in of_manifest.items():
        found.known.update(item.item for item in items)
        own = [item for item in items if (_source(url), item.item) in named or item.digest in found.digests]
        found.names.update(item.item for item in own)
        places = {item.block for item in own if item.block >= 0}
        found.numbers.update(places)
        found.blocks.update(block.name for block in blocks_of(items) if block.index in places)
    for url, items in of_manifest.items():
        _spare(found, items, as_told(items, all_records, _source(url)), {name for at, name in named if at == _source(url)})
    return found


def _source(url: str) -> str:
    return url.rpartition("/")[2].removesuffix(SUFFIX)


def _spare(found: Wanted, items: Sequence[Item], told: Sequence[Item], own: Collection[str]) -> None:
    """Note the items of a manifest that are others of the same name, and its blocks, as they are called now."""
    found.others.update(
        (item.item, item.digest)
        for item in items
        if item.item in found.names and item.item not in own and item.digest not in found.digests
    )
    found.spared.update({block.name for block in (*blocks_of(items), *blocks_of(told))} - found.blocks)


def blocks_with(root: str, what: Wanted) -> tuple[list[Stored], list[Stored]]:
    """The blocks that hold labels of panoramas, and those that learned from such a block, in the order in which they must go.

    What was made of a whole block comes before that block, by whose receipt it is found. Unfinished data of such a block's
    number says not what it holds, and nobody reads it: it goes too. A training's receipt says from which fingerprints it learned,
    and not from which panoramas; one that was made before they came is told as well.
    """
    stored = stored_blocks(root)
    own = [one for one in stored if _holds(one, what)]
    names = what.blocks | {one.block for one in own}
    whole = [one for one in stored if one.receipt and {row.item for row in one.receipt.items} & names]
    unfinished = [one for one in stored if one.receipt is None and _number(one.block) in what.numbers]
    places = {(one.stage, one.fingerprint) for one in (*own, *whole)}
    behind = _behind(stored, places)
    learned = [one for one in stored if one.receipt and (one.stage, one.fingerprint) in behind and _stands_for_all(one)]
    return [*unfinished, *whole, *own], learned


def _holds(one: Stored, what: Wanted) -> bool:
    if one.receipt is None or one.block in what.spared:
        return False
    return any(row.state == "done" and what.is_of(row.item) for row in one.receipt.items)


def _stands_for_all(one: Stored) -> bool:
    return one.receipt is not None and [row.item for row in one.receipt.items] == [ALL]


def _number(block: str) -> int:
    number = block.partition("-")[0]
    return int(number) if number.isdigit() else -1


def _behind(stored: Sequence[Stored], places: set[Place]) -> set[Place]:
    """What was made from outputs of these stages and fingerprints, through any number of others."""
    made_from: Mapping[Place, set[Place]] = {(one.stage, one.fingerprint): set(_upstream(one)) for one in stored if one.receipt}
    found: set[Place] = set()
    while new := {place for place, read in made_from.items() if read & (places | found)} - found:
        found |= new
    return found


def _upstream(one: Stored) -> Iterator[Place]:
    assert one.receipt is not None
    for name, fingerprint in one.receipt.made.get("identity", {}).get("upstream", {}).items():
        yield stage_read(name), fingerprint
