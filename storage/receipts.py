"""Receipts: the proof that a block exists. Written last; data without one is rubbish and is overwritten."""

from __future__ import annotations

import errno
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from storage.credentials import mask_credentials
from storage.entries import Entries, differences, entry_of
from storage.receipt_form import parse_receipt
from storage.records import attempts
from storage.retries import StoreError
from storage.rows import GIVEN_UP, ItemRow, Rows, telling
from storage.urls import files_below, folders_holding, join, read_bytes, remove, remove_empty_folders, write_bytes

FILE = "receipt.json"
READERS = 16
"""Receipts that are read at a time: a store answers a request in some hundredths of a second."""
READ_AT_ONCE = 256
"""Receipts that are in memory at a time, while many are read."""
DROPPED = "dropped.json"
"""Holds the receipt of a block whose data was dropped on purpose, so that its lineage can still be told."""
WITHDRAWN = "its receipt is withdrawn, so that the next run makes it again"
ROWS = "rows.json"
"""Holds the first rows of a block that is not finished."""
OURS = frozenset({FILE, DROPPED, ROWS, attempts.FILE})
"""Files in a block's folder that say something of its data."""


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
        return [row for row in telling(self.items) if row.state == "quarantined"]

    @property
    def done(self) -> int:
        """How many items were made."""
        return len(self.items) - len(self.quarantined)

    @property
    def copied(self) -> int:
        """How many rows were copied from other blocks, and took next to no work."""
        told = self.made.get("copied", ())
        rows = [one.get("rows") for one in told if isinstance(one, dict)] if isinstance(told, (list, tuple)) else []
        return sum(count for count in rows if isinstance(count, int) and count > 0)  # anything may stand in a store

    @property
    def given_up(self) -> list[ItemRow]:
        """Rows of all items that were given up: also of those that a block which stands for others left out.

        Such a block has one item of its own, whose figures tell them: ``given_up`` maps items to reasons.
        """
        left_out = [row.figures.get(GIVEN_UP) for row in telling(self.items)]
        rows = [
            ItemRow(item, "quarantined", str(reason))
            for found in left_out
            if isinstance(found, dict)
            for item, reason in found.items()
        ]
        return [*self.quarantined, *rows]

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
    """The receipt in a file. StoreError if it may not be read, or is a folder: only people can mend that."""
    try:
        receipt = _receipt(read_bytes(url))
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
    except IsADirectoryError as error:
        raise StoreError(errno.EISDIR, f"{mask_credentials(url)}: is a folder, where a receipt must be; remove it") from error
    except PermissionError as error:
        shown = mask_credentials(url)
        raise StoreError(
            errno.EACCES, f"{shown}: may not be read by the user who runs this; give the right to read it"
        ) from error
    place = url.split("/")[-4:-1]
    return receipt if [receipt.stage, receipt.fingerprint, receipt.block] == place else None


def _receipt(raw: bytes) -> Receipt:
    """A receipt from its bytes; ValueError if they are none."""
    data = parse_receipt(raw)
    return Receipt(**{**data, "items": Rows(raw, data["items"])})


def write_receipt(url: str, receipt: Receipt) -> None:
    """Write the receipt of a block whose data is complete: from here on the block exists."""
    write_bytes(join(url, FILE), _as_bytes(receipt))


def as_stored(receipt: Receipt) -> Receipt | None:
    """A receipt that was just made, as whoever reads it from the store sees it: lists for tuples, and so on."""
    try:
        return _receipt(_as_bytes(receipt))
    except ValueError:
        return None


def _as_bytes(receipt: Receipt) -> bytes:
    told = {**vars(receipt), "items": [vars(row) for row in receipt.items]}
    return json.dumps(told, indent=1, sort_keys=True, ensure_ascii=False).encode()


def drop_receipt(url: str) -> None:
    """Make a block owed again. Its data stays until it is overwritten."""
    remove(join(url, FILE))


def maker_of(receipt: Receipt) -> str:
    """The run that made a block; empty if its receipt does not say so."""
    return str(receipt.made.get("run", ""))


def files_of(url: str) -> Mapping[str, Mapping[str, Any]] | None:
    """The files of a block by its receipt; None if there is none."""
    receipt = read_receipt(url)
    return None if receipt is None else receipt.files


def withdraw(url: str, receipt: Receipt | None = None) -> str:
    """Make a block owed again whose data was found damaged; returns what became of its receipt, for the message.

    Parameters
    ----------
    url : str
    receipt : Receipt, optional
        That by which the data was read: another one that is there by now belongs to data that were made again, and stays.
    """
    try:
        if receipt is None or read_receipt(url) == receipt:
            drop_receipt(url)
    except OSError as error:
        return f"its receipt cannot be withdrawn ({error.strerror or error}); whoever may write there makes it again"
    return WITHDRAWN


def read_receipts(urls: Sequence[str]) -> Iterator[Receipt | None]:
    """As :func:`read_receipt` for every block, in order; many are read at a time."""
    with ThreadPoolExecutor(READERS, thread_name_prefix="receipts") as pool:
        for start in range(0, len(urls), READ_AT_ONCE):
            yield from pool.map(read_receipt, urls[start : start + READ_AT_ONCE])


def blocks_with_receipts(root: str, stage: str, fingerprint: str) -> list[str]:
    """Names of the blocks of a stage that exist: those whose receipt can be read.

    Everybody asks here (plan, run, publish, gc and so on), so that what counts for one counts for all.
    """
    return list(existing_receipts(root, stage, fingerprint))


def existing_receipts(root: str, stage: str, fingerprint: str) -> dict[str, Receipt]:
    """Of :func:`blocks_with_receipts` the receipts, by block."""
    folder = join(root, "stages", stage, fingerprint)
    names = folders_holding(folder, FILE)
    return {name: receipt for name, receipt in zip(names, read_receipts([join(folder, name) for name in names])) if receipt}


def receipt_files(root: str, stage: str, fingerprint: str) -> list[str]:
    """Names of the blocks of a stage with a file that may or may not be a receipt."""
    return folders_holding(join(root, "stages", stage, fingerprint), FILE)


def drop_data(url: str) -> int:
    """Drop a block's data and keep its receipt as :data:`DROPPED`; returns the bytes that became free.

    The receipt goes before the data, so that nobody reads data that is being dropped.
    """
    receipt = read_receipt(url)
    if receipt is None:
        return 0
    write_dropped(url, receipt)
    drop_receipt(url)
    for name in receipt.files:
        remove(join(url, name))
    remove_empty_folders(url, receipt.files)
    return receipt.bytes


def write_dropped(url: str, receipt: Receipt) -> None:
    """Write the receipt of a block whose data is not there, on purpose."""
    write_bytes(join(url, DROPPED), _as_bytes(receipt))


def read_dropped(url: str) -> Receipt | None:
    """The receipt of a block whose data was dropped, or None."""
    return _read(join(url, DROPPED))


def dropped_blocks(root: str, stage: str, fingerprint: str) -> list[str]:
    """Names of the blocks of a stage whose data was dropped."""
    folder = join(root, "stages", stage, fingerprint)
    return [name for name in folders_holding(folder, DROPPED) if read_dropped(join(folder, name))]


def digest_files(url: str) -> Entries:
    """Size and sha256 of every data file in a block's folder, read back from the store."""
    entries = {}
    for name in files_below(url):
        if not _is_data(name):
            continue
        with suppress(FileNotFoundError):  # a temporary file of another writer, renamed by now
            entries[name] = entry_of(read_bytes(join(url, name)))
    return entries


def damage(url: str, receipt: Receipt) -> list[str]:
    """What of a block's data does not match its receipt: one line a file, none if all is well."""
    return differences(url, receipt.files)


def strays(names: Iterable[str], receipt: Receipt) -> list[str]:
    """Of the files in a block's folder, those that are no part of the block; nobody reads them, and ``gc`` removes them.

    Temporary files of writers that died are such too, and those of one that writes now: whoever removes them looks how old they
    are.
    """
    return sorted(name for name in names if name not in receipt.files and name not in OURS)


def _is_data(name: str) -> bool:
    hidden = name.rsplit("/", 1)[-1].startswith(".") or name.endswith(".partial")
    return name not in OURS and not hidden
