"""The sources of a pipeline as a plan sees them: the blocks that there are, and those that files not read yet will make; of all
panoramas, or of those that a trial takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from storage.forgotten import is_forgotten
from storage.manifest import Block, Item, blocks_of, place
from tasks.ingest.entries import Entry
from tasks.ingest.ingest import Scan, unchanged
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
        return frozenset(self.scan.absent) | {item.item for item in self.scan.known if is_forgotten(item)}

    @cached_property
    def blocks(self) -> tuple[Block, ...]:
        """The blocks of its manifest."""
        return tuple(blocks_of(self.scan.known))

    @cached_property
    def then(self) -> Sequence[Item]:
        """Its panoramas with their places once all files are read, if all are good; what is not read yet has no digest."""
        return foreseen(self.stage, self.scan)

    @cached_property
    def ahead(self) -> tuple[Block, ...]:
        """The blocks once all files are read: those with a file that is not read yet are named as if they had other bytes."""
        return tuple(blocks_of(self.then)) if self.scan.to_read or self.scan.checked else self.blocks

    @cached_property
    def forgotten(self) -> frozenset[str]:
        """Names of its blocks in which an item is forgotten."""
        return frozenset(block.name for block in self.blocks if any(map(is_forgotten, block.items)))

    @property
    def to_come(self) -> list[str]:
        """What of it is not read or placed yet, as reasons of the stages over its panoramas."""
        names, known = {block.name for block in self.blocks}, {item.item for block in self.blocks for item in block.items}
        new = [count for block in self.ahead if (count := sum(item.item not in known for item in block.items))]
        changed = sum(block.name not in names for block in self.ahead) - len(new)
        reasons = [f"new items: {sum(new)} in {len(new)} block{'s' * (len(new) > 1)}"] * bool(new)
        return reasons + [f"changed files: at most {changed} block{'s' * (changed > 1)}"] * bool(changed)


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
    taken: tuple[Item, ...] = field(repr=False)

    @property
    def whole(self) -> Scan:
        """What is known of all its panoramas."""
        return self.of.scan

    @cached_property
    def then(self) -> Sequence[Item]:
        """Those that are taken, with the places that they will have among all."""
        return self.taken


def part_of(source: Source, chosen: frozenset[str]) -> Part:
    """The panoramas of a source that are chosen, by name.

    Those that are read have the places that they will have once all files are: a trial reads no more than its own.
    """
    scan = source.scan
    to_read = [entry for entry in scan.to_read if entry.item in chosen]
    taken = tuple(item for item in source.then if item.item in chosen)
    before = {item.item: item for item in scan.known}
    unread = {entry.item for entry in to_read}
    now = [before[item.item] if item.item in unread else item for item in taken if item.item in before or item.item not in unread]
    came = tuple(item.item for item in now if item.item not in before or item.item in scan.came)
    changed = tuple(item.item for item in now if item.item in scan.changed or before.get(item.item, item).digest != item.digest)
    present = scan.present & chosen
    own = replace(scan, known=now, to_read=to_read, checked=(), present=present, came=came, changed=changed)
    return Part(source.stage, own, source, taken)


def foreseen(stage: Stage, scan: Scan) -> list[Item]:
    """All panoramas of a source with their places once all files are read, if all are good; what is not read has no digest."""
    known = {item.item: item for item in scan.known}
    coming = list(scan.checked)
    for entry in scan.to_read:
        before = known.get(entry.item)
        placed = before is not None and before.block >= 0
        if before is not None and unchanged(entry, before) and (placed or stage.settings.rehash):
            continue  # it is read again, to find what is known
        if before is not None and placed:
            coming.append(_as_seen(entry, before))
        else:
            told = (entry.size, entry.stamp, entry.split)
            coming.append(Item(entry.item, entry.uri, "", 0, 0, *told, reason=entry.problem, metadata=entry.metadata))
    return place(scan.known, coming, stage.settings.block_size) if coming else scan.known
