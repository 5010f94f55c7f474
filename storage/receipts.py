"""Receipts: the proof that a block exists. Written last; data without one is rubbish and is overwritten."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from storage import attempts
from storage.receipt_form import parse_receipt
from storage.urls import exists, files_below, folders_holding, join, read_bytes, remove, write_bytes

FILE = "receipt.json"
DROPPED = "dropped.json"
"""Holds the receipt of a block whose data was dropped on purpose, so that its lineage can still be told."""


@dataclass(frozen=True)
class ItemRow:
    """What became of one item: ``done``, or ``quarantined`` with the reason. ``figures`` holds what the stage found.

    ``digest`` is that of the item's arrays (:func:`storage.arrays.arrays_digest`), whatever shard they lie in; empty for an item
    without any, and in receipts older than it.
    """

    item: str
    state: str
    reason: str = ""
    figures: Mapping[str, Any] = field(default_factory=dict)
    digest: str = ""


@dataclass(frozen=True)
class Receipt:
    """What one stage did to one block.

    ``files`` maps every stored file, relative to the block's folder, to its size and sha256. ``about`` describes the outputs
    for later stages (the vocabulary of a semantic teacher, say). ``made`` tells seconds, device, versions and run id.
    """

    stage: str
    fingerprint: str
    block: str
    items: Sequence[ItemRow]
    files: Mapping[str, Mapping[str, Any]]
    about: Mapping[str, Any]
    made: Mapping[str, Any]

    def row(self, item: str) -> ItemRow:
        """The row of one item."""
        return next(row for row in self.items if row.item == item)

    @property
    def quarantined(self) -> list[ItemRow]:
        """Rows of the items that were given up."""
        return [row for row in self.items if row.state == "quarantined"]

    @property
    def bytes(self) -> int:
        """Bytes stored."""
        return sum(entry["bytes"] for entry in self.files.values())


def block_url(root: str, stage: str, fingerprint: str, block: str) -> str:
    """Where a block of a stage lies."""
    return join(root, "stages", stage, fingerprint, block)


def read_receipt(url: str) -> Receipt | None:
    """The receipt in a block's folder, or None.

    One that is damaged, names files outside the folder, or belongs to another block counts as none: the block is made again.
    """
    return _read(join(url, FILE))


def _read(url: str) -> Receipt | None:
    if not exists(url):
        return None
    try:
        data = parse_receipt(read_bytes(url))
    except ValueError:
        return None
    receipt = Receipt(**{**data, "items": tuple(ItemRow(**row) for row in data["items"])})
    place = url.split("/")[-4:-1]
    return receipt if [receipt.stage, receipt.fingerprint, receipt.block] == place else None


def write_receipt(url: str, receipt: Receipt) -> None:
    """Write the receipt of a block whose data is complete: from here on the block exists."""
    write_bytes(join(url, FILE), json.dumps(asdict(receipt), indent=1, sort_keys=True, ensure_ascii=False).encode())


def drop_receipt(url: str) -> None:
    """Make a block owed again. Its data stays until it is overwritten."""
    remove(join(url, FILE))


def blocks_with_receipts(root: str, stage: str, fingerprint: str) -> list[str]:
    """Names of the blocks of a stage that exist."""
    return folders_holding(join(root, "stages", stage, fingerprint), FILE)


def drop_data(url: str) -> int:
    """Drop a block's data and keep its receipt as :data:`DROPPED`; returns the bytes that became free.

    The receipt goes before the data, so that nobody reads data that is being dropped.
    """
    receipt = read_receipt(url)
    if receipt is None:
        return 0
    write_bytes(join(url, DROPPED), read_bytes(join(url, FILE)))
    drop_receipt(url)
    for name in receipt.files:
        remove(join(url, name))
    return receipt.bytes


def read_dropped(url: str) -> Receipt | None:
    """The receipt of a block whose data was dropped, or None."""
    return _read(join(url, DROPPED))


def dropped_blocks(root: str, stage: str, fingerprint: str) -> list[str]:
    """Names of the blocks of a stage whose data was dropped."""
    return folders_holding(join(root, "stages", stage, fingerprint), DROPPED)


def digest_files(url: str) -> dict[str, dict[str, Any]]:
    """Size and sha256 of every data file in a block's folder, read back from the store."""
    entries = {}
    for name in files_below(url):
        if name in (FILE, DROPPED, attempts.FILE) or name.rsplit("/", 1)[-1].startswith(".") or name.endswith(".partial"):
            continue
        data = read_bytes(join(url, name))
        entries[name] = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    return entries


def damage(url: str, receipt: Receipt) -> list[str]:
    """What of a block's data does not match its receipt: one line a file, none if all is well."""
    present = digest_files(url)
    problems = []
    for name, entry in receipt.files.items():
        if name not in present:
            problems.append(f"{name}: is missing")
        elif present[name] != entry:
            now, then = present[name]["sha256"][:12], entry["sha256"][:12]
            problems.append(f"{name}: bytes differ from the receipt (sha256 {now}, was {then})")
    return problems
