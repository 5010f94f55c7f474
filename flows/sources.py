"""The sources of a pipeline as a plan sees them: the blocks that there are, and those that files not read yet will make."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property

from storage.forgotten import is_forgotten
from storage.manifest import Block, Item, blocks_of
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

    @cached_property
    def left(self) -> frozenset[str]:
        """Items that are gone from the source, so far as it was looked at, or forgotten: nothing is to be done of them."""
        return frozenset(self.scan.absent) | {item.item for item in self.scan.known if is_forgotten(item)}

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
        """Its blocks with files that are other ones now, named as if their bytes were; they may be the same. Where only what is
        known of a file is new, its bytes count as they were."""
        known = {item.item: item for item in self.scan.known if item.block >= 0}
        read = {item.item: item for item in self.scan.checked if item.item in known}
        seen = [entry for entry in self.scan.to_read if entry.item in known and not unchanged(entry, known[entry.item])]
        now = read | {entry.item: _as_seen(entry, known[entry.item]) for entry in seen}
        then = [Block(block.index, tuple(now.get(item.item, item) for item in block.items)) for block in self.blocks]
        return tuple(block for block, before in zip(then, self.blocks, strict=True) if block.name != before.name)

    @cached_property
    def ahead(self) -> tuple[Block, ...]:
        """The blocks once all files are read."""
        changed = {block.index: block for block in self.changed}
        return (*(changed.get(block.index, block) for block in self.blocks), *self.pending)

    @cached_property
    def forgotten(self) -> frozenset[str]:
        """Names of its blocks in which an item is forgotten."""
        return frozenset(block.name for block in self.blocks if any(map(is_forgotten, block.items)))

    @property
    def to_come(self) -> list[str]:
        """What of it is not read yet, as reasons of the stages over its panoramas."""
        pending, changed = len(self.pending), len(self.changed)
        count = sum(len(block.items) for block in self.pending)
        reasons = [f"new items: {count} in {pending} block{'s' * (pending > 1)}"] * bool(pending)
        return reasons + [f"changed files: at most {changed} block{'s' * (changed > 1)}"] * bool(changed)


def _as_seen(entry: Entry, known: Item) -> Item:
    """An item as it will be once its file is read, without a digest if that may be another."""
    same = entry.stamp and (entry.uri, entry.size, entry.stamp) == (known.uri, known.size, known.stamp)
    return replace(known, digest=known.digest if same else "", metadata=entry.metadata)
