"""The sources of a pipeline as a plan sees them: the blocks that there are, and those that files not read yet will make; of all
panoramas, or of those that a trial takes."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property

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
    def blocks(self) -> tuple[Block, ...]:
        """The blocks of its manifest."""
        return tuple(blocks_of(self.scan.known))

    @cached_property
    def pending(self) -> tuple[Block, ...]:
        """The blocks that files not yet read will make (if all of them are good); changed files keep their block.

        Their names are not those that they will have, which follow from the files' bytes.
        """
        scan, size = self.scan, self.stage.settings.block_size
        placed = {item.item: item.block for item in scan.known if item.block >= 0}
        known = {item.item for item in scan.known} if self.stage.settings.rehash else set()
        read = [Entry(item.item, item.uri, item.size, item.stamp) for item in scan.checked if not item.reason]
        new = [entry for entry in [*scan.to_read, *read] if entry.item not in placed and entry.item not in known]
        first = max(placed.values(), default=-1) + 1
        items = [Item(entry.item, entry.uri, "", 0, 0, entry.size, entry.stamp) for entry in new]
        groups = [tuple(items[start : start + size]) for start in range(0, len(items), size)]
        return tuple(Block(first + number, group) for number, group in enumerate(groups))

    @cached_property
    def changed(self) -> tuple[Block, ...]:
        """Its blocks with files that are other ones now, named as if their bytes were; they may be the same."""
        known = {item.item: item for item in self.scan.known if item.block >= 0}
        read = {item.item: item for item in self.scan.checked if item.item in known}
        seen = [entry for entry in self.scan.to_read if entry.item in known and not unchanged(entry, known[entry.item])]
        now = read | {entry.item: replace(known[entry.item], digest="", metadata=entry.metadata) for entry in seen}
        then = [Block(block.index, tuple(now.get(item.item, item) for item in block.items)) for block in self.blocks]
        return tuple(block for block, before in zip(then, self.blocks, strict=True) if block.name != before.name)

    @cached_property
    def ahead(self) -> tuple[Block, ...]:
        """The blocks once all files are read."""
        changed = {block.index: block for block in self.changed}
        return (*(changed.get(block.index, block) for block in self.blocks), *self.pending)

    @property
    def to_come(self) -> list[str]:
        """What of it is not read yet, as reasons of the stages over its panoramas."""
        pending, changed = len(self.pending), len(self.changed)
        count = sum(len(block.items) for block in self.pending)
        reasons = [f"new items: {count} in {pending} block{'s' * (pending > 1)}"] * bool(pending)
        return reasons + [f"changed files: at most {changed} block{'s' * (changed > 1)}"] * bool(changed)


@dataclass(frozen=True)
class Part(Source):
    """Some panoramas ``of`` a source: ``scan`` tells of them alone. ``then`` are they once all files are read.

    Blocks of which only some panoramas are taken are named by those: trial blocks, of the number that the whole ones have.
    """

    of: Source = field(repr=False)
    then: tuple[Item, ...] = field(repr=False)

    @property
    def whole(self) -> Scan:
        """What is known of all its panoramas."""
        return self.of.scan

    @cached_property
    def ahead(self) -> tuple[Block, ...]:
        """The blocks once all files are read."""
        return tuple(blocks_of(self.then))

    @property
    def to_come(self) -> list[str]:
        """What of it is not read yet, as reasons of the stages over its panoramas."""
        known = {item.item for block in self.blocks for item in block.items}
        names = {block.name for block in self.blocks}
        new = [count for block in self.ahead if (count := sum(item.item not in known for item in block.items))]
        changed = sum(block.name not in names for block in self.ahead) - len(new)
        reasons = [f"new items: {sum(new)} in {len(new)} block{'s' * (len(new) > 1)}"] * bool(new)
        return reasons + [f"changed files: at most {changed} block{'s' * (changed > 1)}"] * bool(changed)


def part_of(source: Source, chosen: frozenset[str]) -> Part:
    """The panoramas of a source that are chosen, by name.

    Those that are read have the places that they will have once all files are: a trial reads no more than its own.
    """
    scan = source.scan
    to_read = [entry for entry in scan.to_read if entry.item in chosen]
    then = tuple(item for item in _foreseen(source.stage, scan) if item.item in chosen)
    before = {item.item: item for item in scan.known}
    unread = {item.item for item in then if not item.digest and not item.reason}
    now = [before[item.item] if item.item in unread else item for item in then if item.item in before or item.item not in unread]
    own = replace(scan, known=now, to_read=to_read, checked=(), present=scan.present & chosen)
    return Part(source.stage, own, source, then)


def _foreseen(stage: Stage, scan: Scan) -> list[Item]:
    """All panoramas with their places once all files are read, if all are good; those that are not read have no digest."""
    known = {item.item: item for item in scan.known}
    coming = list(scan.checked)
    for entry in scan.to_read:
        before = known.get(entry.item)
        if before is not None and unchanged(entry, before):  # read again, to find what is known
            continue
        if before is not None and before.block >= 0:
            coming.append(replace(before, digest="", split=entry.split, metadata=entry.metadata))
            continue
        size = (entry.size, entry.stamp, entry.split)
        coming.append(Item(entry.item, entry.uri, "", 0, 0, *size, reason=entry.problem, metadata=entry.metadata))
    return place(scan.known, coming, stage.settings.block_size) if coming else scan.known
