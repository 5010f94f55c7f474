"""Places for a source's files while they are read: whole blocks in the order of names, so that these can be made while others are
read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from storage.manifest import Item, refuse_clashes
from tasks.ingest.entries import Entry


class Admission:
    """The places that :func:`storage.manifest.place` gives to all at once, given block by block, whoever reads what, and when.

    A block that has its places keeps them when its files change: it is whole once those are read. New items fill new blocks in
    the order of their names: what is read is placed as soon as all before it is read.

    Parameters
    ----------
    known : sequence of Item
        As the manifest has them.
    checked : sequence of Item
        That were read and have no place yet.
    to_read : sequence of Entry
    block_size : int

    Raises
    ------
    ManifestError
        Two names would be one on some file systems.
    """

    def __init__(self, known: Sequence[Item], checked: Sequence[Item], to_read: Sequence[Entry], block_size: int) -> None:
        names = {entry.item for entry in to_read}
        self._known = {item.item: item for item in known}
        refuse_clashes([*self._known, *sorted((names | {item.item for item in checked}) - self._known.keys())])
        placed = {item.item: item for item in known if item.block >= 0}
        self._read = {item.item: item for item in checked if item.item not in names}
        coming = [*names, *self._read]
        self._new = sorted(name for name in coming if name not in placed)
        self._at = 0
        self._good: list[Item] = []
        self._changing = {placed[name].block for name in coming if name in placed}
        self._left = Counter(placed[name].block for name in names if name in placed)
        self._next, self._size = max((item.block for item in known), default=-1) + 1, block_size
        again = {*self._new}
        self.settled = [item for item in known if item.block not in self._changing and item.item not in again]
        self._advance()

    def in_order(self, to_read: Sequence[Entry]) -> list[Entry]:
        """Files in the order in which reading them makes blocks whole: those with a place first, block by block."""
        places = {entry.item: self._known[entry.item] for entry in to_read if entry.item in self._known}

        def order(entry: Entry) -> tuple[bool, int, str]:
            block = places[entry.item].block if entry.item in places else -1
            return block < 0, block, entry.item

        return sorted(to_read, key=order)

    def note(self, items: Sequence[Item]) -> None:
        """Files were read."""
        for item in items:
            self._read[item.item] = item
            before = self._known.get(item.item)
            if before is not None and before.block >= 0:
                self._left[before.block] -= 1
        self._advance()

    def _advance(self) -> None:
        while self._at < len(self._new) and self._new[self._at] in self._read:
            item = self._read[self._new[self._at]]
            if item.reason:
                self.settled.append(item)
            else:
                self._good.append(item)
            self._at += 1

    @property
    def blocks(self) -> int:
        """Blocks that are whole, and were not taken yet."""
        return len(self._good) // self._size + sum(not self._left[block] for block in self._changing)

    def take(self) -> list[Item]:
        """The items of these blocks, with their places; of blocks that were known, those that were read. ``settled`` has all."""
        whole = {block for block in self._changing if not self._left[block]}
        self._changing -= whole
        taken: list[Item] = []
        for item in self._known.values() if whole else ():
            if item.block not in whole:
                continue
            now = self._read.get(item.item)
            if now is None:
                self.settled.append(item)
            else:
                taken.append(replace(now, block=item.block, slot=item.slot))
        full = len(self._good) - len(self._good) % self._size
        for position, item in enumerate(self._good[:full]):
            taken.append(replace(item, block=self._next + position // self._size, slot=position % self._size))
        self._next += full // self._size
        self._good = self._good[full:]
        self.settled += taken
        return taken
