"""The sources of a pipeline as a plan sees them: the blocks that there are, and those that files not read yet will make; of all
panoramas, or of those that a trial takes."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import chain

from storage.columns import column_of, found_in
from storage.items import Block, Item, Items
from storage.manifest import place
from storage.records.forgotten import forgotten_names
from tasks.ingest.entries import Entries, Entry
from tasks.ingest.ingest import NONE, Scan, came_and_changed, unchanged
from tasks.stage.kind import Stage


@dataclass(frozen=True)
class Source:
    """A stage that reads a source, and what is known of that."""

    stage: Stage
    scan: Scan = field(repr=False)

    @property
    def key(self) -> str:
        """What the file calls the stage."""
        return self.stage.key

    @property
    def whole(self) -> Scan:
        """What is known of all its panoramas."""
        return self.scan

    @cached_property
    def left(self) -> frozenset[str]:
        """Items that are gone from the source, so far as it was looked at, or forgotten: nothing is to be done of them."""
        return frozenset(self.scan.absent).union(forgotten_names(self.scan.known))

    @cached_property
    def blocks(self) -> tuple[Block, ...]:
        """The blocks of its manifest."""
        return tuple(self.scan.known.blocks)

    @cached_property
    def then(self) -> Items:
        """Its panoramas with their places once all files are read, if all are good; what is not read yet has no digest."""
        return foreseen(self.stage, self.scan)

    @cached_property
    def ahead(self) -> tuple[Block, ...]:
        """The blocks once all files are read: those with a file that is not read yet are named as if they had other bytes."""
        return tuple(self.then.blocks) if self.scan.to_read or self.scan.checked else self.blocks

    @cached_property
    def forgotten(self) -> frozenset[str]:
        """Names of its blocks in which an item is forgotten."""
        names = set(forgotten_names(self.scan.known))
        return frozenset(block.name for block in self.blocks if names and not names.isdisjoint(_names(block)))

    @property
    def to_come(self) -> list[str]:
        """What of it is not read or placed yet, as reasons of the stages over its panoramas."""
        if self.ahead is self.blocks:
            return []
        names, known = {block.name for block in self.blocks}, {name for block in self.blocks for name in _names(block)}
        new = [count for block in self.ahead if (count := sum(name not in known for name in _names(block)))]
        changed = sum(block.name not in names for block in self.ahead) - len(new)
        reasons = [f"new items: {sum(new)} in {len(new)} block{'s' * (len(new) > 1)}"] * bool(new)
        return reasons + [f"changed files: at most {changed} block{'s' * (changed > 1)}"] * bool(changed)


def _names(block: Block) -> list[str]:
    return column_of(block.items, "item")


def _as_seen(entry: Entry, known: Item) -> Item:
    """An item as it will be once its file is read, without a digest if that may be another."""
    same = entry.stamp and (entry.uri, entry.size, entry.stamp) == (known.uri, known.size, known.stamp)
    return replace(known, digest=known.digest if same else "", split=entry.split, metadata=entry.metadata)


@dataclass(frozen=True)
class Part(Source):
    """Some panoramas ``of`` a source: ``scan`` tells of them alone.

    Blocks of which only some panoramas are taken are named by those: trial blocks, of the number that the whole ones have.
    """

    of: Source = field(repr=False)
    taken: Items = field(repr=False)

    @property
    def whole(self) -> Scan:
        """What is known of all its panoramas."""
        return self.of.scan

    @cached_property
    def then(self) -> Items:
        """Those that are taken, with the places that they will have among all."""
        return self.taken


def part_of(source: Source, chosen: frozenset[str]) -> Part:
    """The panoramas of a source that are chosen, by name.

    Those that are read have the places that they will have once all files are: a trial reads no more than its own.
    """
    scan = source.scan
    to_read = scan.to_read.where(found_in(scan.to_read.column("item"), chosen))
    taken = source.then.where(found_in(source.then.column("item"), chosen))
    known = scan.known.where(found_in(scan.known.column("item"), chosen))
    unread = found_in(taken.column("item"), to_read.names)
    was = known.where(found_in(known.column("item"), to_read.names))
    now = taken.where(~unread).plus(was).in_order("item")
    came, changed = came_and_changed(known, now)
    came, changed = _among(now, {*came, *scan.came}), _among(now, {*changed, *scan.changed})
    absent = tuple(chosen.intersection(scan.absent))
    listed = len(chosen.intersection(chain(scan.known.names, scan.to_read.names, scan.checked.names))) - len(absent)
    own = replace(scan, known=now, to_read=to_read, checked=NONE, listed=listed, absent=absent, came=came, changed=changed)
    return Part(source.stage, own, source, taken)


def _among(items: Items, names: Collection[str]) -> tuple[str, ...]:
    return tuple(items.where(found_in(items.column("item"), names)).names)


def foreseen(stage: Stage, scan: Scan) -> Items:
    """All panoramas of a source with their places once all files are read, if all are good; what is not read has no digest."""
    if not scan.to_read and not scan.checked:
        return scan.known
    known = {item.item: item for item in scan.known.where(found_in(scan.known.column("item"), scan.to_read.names))}
    return place(scan.known, chain(scan.checked, _coming(stage, scan.to_read, known)), stage.settings.block_size)


def _coming(stage: Stage, to_read: Entries, known: Mapping[str, Item]) -> Iterator[Item]:
    """What is to be read as it will be."""
    for entry in to_read:
        before = known.get(entry.item)
        placed = before is not None and before.block >= 0
        if before is not None and unchanged(entry, before) and (placed or stage.settings.rehash):
            continue  # it is read again, to find what is known
        if before is not None and placed:
            yield _as_seen(entry, before)
        else:
            told = (entry.size, entry.stamp, entry.split)
            yield Item(entry.item, entry.uri, "", 0, 0, *told, reason=entry.problem, metadata=entry.metadata)
