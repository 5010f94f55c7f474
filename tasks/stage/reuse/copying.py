"""Copying rows: what a block need not make, since another block under its fingerprint holds it.

A row is read back and held against its digest; one that is gone, damaged, or of another key by now is made anew. A block whose
rows all stay in their slots, as after a rename, is copied file by file, without decoding any.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from numpy.typing import NDArray

from storage.arrays import DATA, BlockReader, DamagedBlock
from storage.entries import copy_files
from storage.items import Item
from storage.receipts import Receipt, read_receipt
from storage.records.forgotten import is_forgotten
from storage.rows import ItemRow
from tasks.stage.job import Job
from tasks.stage.kind import stages_read
from tasks.stage.reuse.saved import Saved
from tasks.stage.upstream import sound_arrays

Holds = Callable[[Item, ItemRow], bool]
"""Whether a row of another block that may be copied is still what would be made: for what is in no key, as files of truth are."""


@dataclass(frozen=True)
class Copied:
    """A row of another block: its arrays as stored, and what that block's receipt says of it."""

    arrays: Mapping[str, NDArray]
    row: ItemRow
    source: Receipt

    @property
    def figures(self) -> Mapping[str, Any]:
        """What the stage found in the item."""
        return self.row.figures


class Copying:
    """Rows that a job may copy; ``about`` is what the blocks that were read say of their outputs, None before any was.

    Some may be of its own block as that was before: a shard is written once all of its rows were read. Rows that an attempt at
    the block has ``saved`` are such, too.
    """

    def __init__(self, job: Job, keys: Sequence[str], saved: Saved) -> None:
        self._job, self._keys = job, keys
        self._sources: dict[str, tuple[str, Receipt, BlockReader | None] | None] = {}
        self._told: dict[str, dict[str, Any]] = {one["block"]: dict(one) for one in saved.copied}
        self.about: Mapping[str, Any] | None = saved.about
        if any(block == job.block.name for block, _ in job.copies.values()):
            with suppress(DamagedBlock):
                self._source(job.block.name)  # before its receipt goes

    def row(self, slot: int) -> Copied | None:
        """The row of an item, or None if it is to be made."""
        block, there = self._job.copies.get(slot, ("", -1))
        if not block or not self._done_before(slot):
            return None
        try:
            source = self._source(block)
            return self._read(slot, *source, there) if source else None
        except DamagedBlock:  # its receipt is withdrawn, if it has one yet: nobody takes it for sound
            self._sources[block] = None
            return None

    def whole(self, holds: Holds) -> Receipt | None:
        """The block whose rows all go into the same slots here, its files copied; None if there is none, or it is not sound."""
        items, (block, _) = self._job.block.items, self._job.copies.get(0, ("", 0))
        if self._job.given_up or any(self._job.copies.get(slot) != (block, slot) for slot in range(len(items))):
            return None
        receipt = read_receipt(url := self._job.stage.block_url(block))
        if receipt is None or block == self._job.block.name or len(receipt.items) != len(items):
            return None
        for slot, (item, row) in enumerate(zip(items, receipt.items, strict=True)):
            known = row.state == "done" and row.key and row.key == self._keys[slot]
            if is_forgotten(item) or not known or not self._done_before(slot) or not holds(item, row):
                return None
        if not all(name.startswith(f"{DATA}/") for name in receipt.files) or not copy_files(url, self._job.url, receipt.files):
            return None
        self.about = receipt.about
        self._told.clear()
        self.count(receipt, len(items))
        return receipt

    def count(self, source: Receipt, rows: int = 1) -> None:
        """Note that rows were copied."""
        block, made = source.block, source.made
        one = self._told.setdefault(block, {"block": block, "rows": 0, "run": made["run"], "device": made["device"]})
        one["rows"] += rows

    def told(self) -> list[dict[str, Any]]:
        """For the receipt: from which blocks how many rows were copied, and which run made those on what device."""
        return [self._told[block] for block in sorted(self._told)]

    def _read(self, slot: int, url: str, receipt: Receipt, reader: BlockReader | None, there: int) -> Copied | None:
        row = receipt.items[there] if there < len(receipt.items) else None
        if row is None or row.state != "done" or not row.key or row.key != self._keys[slot]:
            return None
        if self.about not in (None, receipt.about) or bool(row.digest) != bool(reader):
            return None
        found = Copied(sound_arrays(url, receipt, reader, there) if reader else {}, row, receipt)
        self.about = receipt.about
        return found

    def _source(self, block: str) -> tuple[str, Receipt, BlockReader | None] | None:
        if block not in self._sources:
            url = self._job.stage.block_url(block)
            receipt = read_receipt(url)
            self._sources[block] = None  # unless it can be opened
            if receipt is not None:
                self._sources[block] = (url, receipt, BlockReader(url, receipt.files) if receipt.files else None)
        return self._sources[block]

    def _done_before(self, slot: int) -> bool:
        """Whether the stages that are read gave the item's own rows: what they gave up this time is not copied past them.

        Those that are joined to this one have given nothing yet.
        """
        return all(receipt is not None and receipt.items[slot].state == "done" for receipt in self._upstream)

    @cached_property
    def _upstream(self) -> list[Receipt | None]:
        stages = [one for one in stages_read(self._job.stage) if one.kind.grain == "block" and not one.is_joined]
        return [read_receipt(self._job.url_of(one)) for one in stages]
