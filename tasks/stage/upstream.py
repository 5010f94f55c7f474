"""Finished blocks of earlier stages, as their readers see them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from numpy.typing import NDArray

from storage.arrays import BlockReader, arrays_digest, damaged
from storage.receipts import Receipt, read_receipt
from storage.rows import ItemRow
from tasks.stage.job import BadItem, Job
from tasks.stage.kind import Stage


class StoredBlock:
    """A finished block; RuntimeError if it has no receipt. ``key`` is what the file calls the stage that makes it."""

    def __init__(self, url: str, key: str) -> None:
        self.url = url
        receipt = read_receipt(url)
        if receipt is None:
            raise RuntimeError(f"{url}: has no receipt, so it may not be read; run the stage {key} first")
        self.receipt = receipt
        self._reader: BlockReader | None = None

    @property
    def about(self) -> Mapping[str, Any]:
        """What is said of the items."""
        return self.receipt.about

    def item(self, slot: int) -> dict[str, NDArray]:
        """The arrays of one item, of the shapes that its stage stores; BadItem if the stage gave it up."""
        row = self.receipt.items[slot]
        if row.state == "quarantined":
            raise given_up_before(row, self.receipt.stage)
        if self._reader is None:
            self._reader = BlockReader(self.url, self.receipt.files)
        return sound_arrays(self.url, self.receipt, self._reader, slot)


def given_up_before(row: ItemRow, stage: str) -> BadItem:
    """What a reader raises of an item that a stage, or one before it, gave up."""
    return BadItem(row.reason if row.inherited else f"at {stage}: {row.reason}", row.given_up_at or stage)


def sound_arrays(url: str, receipt: Receipt, reader: BlockReader, slot: int) -> dict[str, NDArray]:
    """The arrays of one item that was not given up, held against the digest in its block's receipt.

    Raises
    ------
    DamagedBlock
        They are not those that were stored; the receipt is withdrawn.
    """
    arrays, row = reader.item(slot), receipt.items[slot]
    if row.digest and arrays_digest(arrays) != row.digest:
        raise damaged(url, f"the arrays of {row.item} are not those that were stored", receipt.files)
    return arrays


class Upstream(StoredBlock):
    """A finished block of an earlier stage: the one that a job reads for its own."""

    def __init__(self, job: Job, stage: Stage) -> None:
        super().__init__(job.url_of(stage), stage.key)
        self.stage = stage


def open_block(stage: Stage, name: str) -> tuple[str, Receipt]:
    """URL and receipt of a finished block of an earlier stage.

    Raises
    ------
    RuntimeError
        It has no receipt, so it may not be read.
    """
    url = stage.block_url(name)
    receipt = read_receipt(url)
    if receipt is None:
        raise RuntimeError(f"{url}: has no receipt, so it may not be read; run again, which makes the stage {stage.key} first")
    return url, receipt


def read_items(stage: Stage, name: str, *arrays: str) -> Iterator[tuple[str, dict[str, NDArray]]]:
    """Name and arrays (all, or those named) of every item of a block that was not given up, one at a time."""
    url, receipt = open_block(stage, name)
    reader = None
    for slot, row in enumerate(receipt.items):
        if row.state == "done":
            reader = reader or BlockReader(url, receipt.files)
            yield row.item, reader.item(slot, arrays or None)
