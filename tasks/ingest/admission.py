"""Places for a source's files while they are read: whole blocks in the order of names, so that these can be made while others are
read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from storage.columns import found_in
from storage.items import Item, Items
from storage.manifest import next_block, refuse_clashes
from tasks.ingest.entries import Entries, Entry


class Admission:
    """The places that :func:`storage.manifest.place` gives to all at once, given block by block, whoever reads what, and when.

    A block that has its places keeps them when its files change: it is whole once those are read. New items fill new blocks in
    the order of their names: what is read is placed as soon as all before it is read.

    Parameters
    ----------
    known : items as the manifest has them
    checked : items that were read and have no place yet
    to_read : entries
    block_size : int

    Raises
    ------
    ManifestError
        Two names would be one on some file systems.
    """

    def __init__(self, known: Iterable[Item], checked: Iterable[Item], to_read: Iterable[Entry], block_size: int) -> None:
        known, checked, to_read = Items.made_of(known), Items.made_of(checked), Entries.made_of(to_read)
        self._size, self._next = block_size, next_block(known)
        checked = checked.where(~found_in(checked.column("item"), to_read.names))
        names, coming = set(to_read.names), {*to_read.names, *checked.names}
        refuse_clashes([*known.names, *sorted(coming - set(known.names))])
        mine = known.where(found_in(known.column("item"), coming))
        placed = mine.where(mine.numbers("block") >= 0)
        self._block = dict(zip(placed.names, placed.numbers("block").tolist(), strict=True))
        self._changing = set(self._block.values())
        changing = np.isin(known.numbers("block"), [*self._changing])
        self._waiting = known.where(changing)
        self._left = Counter(block for name, block in self._block.items() if name in names)
        self._new = sorted(name for name in coming if name not in self._block)
        self._at = 0
        self._good = Items.made_of([])
        self._read = {item.item: item for item in checked}
        self.settled = known.where(~changing & ~found_in(known.column("item"), self._new))
        self._advance()

    def in_order(self, to_read: Iterable[Entry]) -> Entries:
        """Files in the order in which reading them makes blocks whole: those with a place first, block by block."""
        by_name = Entries.made_of(to_read).in_order("item")
        blocks = np.array([self._block.get(name, self._next) for name in by_name.names], np.int64)
        return by_name.take(np.argsort(blocks, kind="stable"))

    def note(self, items: Sequence[Item]) -> None:
        """Files were read."""
        for item in items:
            self._read[item.item] = item
            if item.item in self._block:
                self._left[self._block[item.item]] -= 1
        self._advance()

    def _advance(self) -> None:
        ready = []
        while self._at < len(self._new) and self._new[self._at] in self._read:
            ready.append(self._read.pop(self._new[self._at]))
            self._at += 1
        self._good = self._good.plus(Items.made_of(item for item in ready if not item.reason))
        self.settled = self.settled.plus(Items.made_of(item for item in ready if item.reason))

    @property
    def _whole(self) -> list[int]:
        """Blocks that there were, of which all files are read."""
        return [block for block in self._changing if not self._left[block]]

    @property
    def blocks(self) -> int:
        """Blocks that are whole, and were not taken yet."""
        return len(self._good) // self._size + len(self._whole)

    def take(self) -> Items:
        """The items of these blocks, with their places; of blocks that were known, those that were read. ``settled`` has all."""
        whole = np.isin(self._waiting.numbers("block"), self._whole)
        self._changing.difference_update(self._whole)
        then, self._waiting = self._waiting.where(whole), self._waiting.where(~whole)
        read = [self._read.pop(name, None) for name in then.names]
        self.settled = self.settled.plus(then.where(np.array([item is None for item in read], bool)))
        changed = [replace(now, block=was.block, slot=was.slot) for was, now in zip(then, read, strict=True) if now is not None]
        count = np.arange(len(self._good) - len(self._good) % self._size)
        full, self._good = self._good.take(count), self._good[len(count) :]
        new = full.with_numbers("block", self._next + count // self._size).with_numbers("slot", count % self._size)
        self._next += len(count) // self._size
        taken = Items.made_of(changed).plus(new)
        self.settled = self.settled.plus(taken)
        return taken
