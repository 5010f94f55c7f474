"""What stays of a block that goes because one of its panoramas is forgotten: the rows of the others, in a block without it.

It is the block that a run would make which copies these rows, under the name that it has from now on. Its receipt comes before
the old block goes, so that whoever is killed in between loses no label; of the forgotten panorama nothing is written.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from storage.arrays import BlockReader, BlockWriter, DamagedBlock
from storage.entries import refuse_unwritten
from storage.erasing import Stored
from storage.items import Block, Item
from storage.manifest import SUFFIX, read_manifest
from storage.places import manifests
from storage.receipts import Receipt, block_url, read_dropped, read_receipt, write_dropped, write_receipt
from storage.records.forgotten import REASON, Forgotten, as_told
from storage.rows import ItemRow
from storage.urls import settle
from tasks.ingest.ingest import KIND
from tasks.stage.reuse.adopt import ADOPTED
from tasks.stage.reuse.rows import may_be_copied
from tasks.stage.upstream import sound_arrays

REST_OF = "rest_of"
"""What ``made`` of a receipt calls the block that went."""


class Rests:
    """Writes what stays of blocks, by the manifests of a store and the records of what is forgotten now."""

    def __init__(self, root: str, records: Sequence[Forgotten]) -> None:
        self._root = root
        self._known: list[dict[str, tuple[Item, Item]]] = []
        for url in manifests(root):
            items = read_manifest(url)
            told = as_told(items, records, url.rpartition("/")[2].removesuffix(SUFFIX))
            self._known.append({item.item: (item, now) for item, now in zip(items, told, strict=True)})

    def write(self, stored: Stored) -> int | None:
        """Write what stays of a block; returns its bytes, 0 if it was there before, None if nothing stays.

        Nothing does of a block that is damaged, that no manifest knows as it was made, or whose rows depend on each other.
        """
        receipt, block = stored.receipt, self._without(stored.receipt) if stored.receipt else None
        if receipt is None or block is None or not may_be_copied(receipt):
            return None
        rows = [_row(row, item) for row, item in zip(receipt.items, block.items, strict=True)]
        if not any(row.state == "done" for row in rows):
            return None
        url = block_url(self._root, stored.stage, stored.fingerprint, block.name)
        if read_receipt(url) or read_dropped(url):
            return 0
        rest = replace(receipt, block=block.name, items=rows, files={}, made=_made(receipt, block.name))
        if read_receipt(stored.url) is None:  # its data was dropped once all had read it
            write_dropped(url, rest)
            return 0
        try:
            files = _copy(stored.url, receipt, url, rows)
        except DamagedBlock:
            return None
        write_receipt(url, replace(rest, files=files))
        return sum(int(entry["bytes"]) for entry in files.values())

    def _without(self, receipt: Receipt) -> Block | None:
        """The block of a receipt's panoramas, those given up that are forgotten by now: its name is that of the next plan."""
        index, _, _ = receipt.block.partition("-")
        for known in self._known if index.isdigit() else ():
            pairs = [known[row.item] for row in receipt.items if row.item in known]
            if len(pairs) == len(receipt.items):
                then = [_as_given_up(row, item) for row, (item, _) in zip(receipt.items, pairs, strict=True)]
                now = [_as_given_up(row, item) for row, (_, item) in zip(receipt.items, pairs, strict=True)]
                if Block(int(index), tuple(then)).name == receipt.block:
                    return Block(int(index), tuple(now))
        return None


def _as_given_up(row: ItemRow, item: Item) -> Item:
    """An item, given up if its row says that it was forgotten when the block was made."""
    return replace(item, reason=row.reason) if row.reason.startswith(REASON) else item


def _row(row: ItemRow, item: Item) -> ItemRow:
    """The row of an item: as it was, or that of one which ingest gives up."""
    return ItemRow(row.item, "quarantined", item.reason, given_up_at=KIND.name) if item.reason.startswith(REASON) else row


def _made(receipt: Receipt, name: str) -> Mapping[str, Any]:
    """Who made the rows that stay, when and how; what the block equals is now what stays of that."""
    origin, _, block = str(receipt.made.get(ADOPTED, "")).rpartition("/")
    adopted = {ADOPTED: f"{origin}/{name}"} if block == receipt.block else {}
    return {**receipt.made, **adopted, REST_OF: receipt.block}


def _copy(origin: str, receipt: Receipt, url: str, rows: Sequence[ItemRow]) -> dict[str, Mapping[str, Any]]:
    """Read the arrays of rows, each held against its digest, and write them in their slots; the files that were written."""
    reader = BlockReader(origin, receipt.files) if receipt.files else None
    writer = BlockWriter(url, len(rows))
    for slot, row in enumerate(rows):
        writer.append(sound_arrays(origin, receipt, reader, slot) if reader and row.digest else None)
    writer.close()
    settle(url)
    refuse_unwritten(url, writer.written)
    return dict(sorted(writer.written.items()))
