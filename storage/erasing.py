"""Blocks that go for good, because of what one of their items shows: found by their receipts, and removed to the last byte.

A block is erased from its receipt on: first nobody may read it, then its data goes, and the copy of the receipt that says what
it held goes last. Whoever is killed in between finds it again.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass

from storage.places import block_places
from storage.receipts import DROPPED, FILE, READERS, Receipt, drop_receipt, read_dropped, read_receipt
from storage.urls import exists, files_below, filesystem, join, read_bytes, remove, write_bytes


@dataclass(frozen=True)
class Stored:
    """A folder of a store that holds a block, and what says so; without a receipt, it is what a killed run left."""

    stage: str
    fingerprint: str
    block: str
    url: str
    receipt: Receipt | None


def stored_blocks(root: str) -> list[Stored]:
    """All blocks of all stages and fingerprints of a store, dropped and unfinished ones too."""
    with ThreadPoolExecutor(READERS, thread_name_prefix="receipts") as pool:
        return list(pool.map(lambda place: _stored(root, *place), block_places(root)))


def _stored(root: str, stage: str, fingerprint: str, block: str) -> Stored:
    url = join(root, "stages", stage, fingerprint, block)
    return Stored(stage, fingerprint, block, url, read_receipt(url) or read_dropped(url))


def erase(url: str) -> int:
    """Remove a block with all that lies in its folder; returns the bytes that went. Doing it again does no harm."""
    if exists(join(url, FILE)):
        write_bytes(join(url, DROPPED), read_bytes(join(url, FILE)))
        drop_receipt(url)
    found = {name: info for name, info in files_below(url).items() if name != DROPPED}
    for name in found:
        remove(join(url, name))
    files, path = filesystem(url)
    remove(join(url, DROPPED))
    with suppress(FileNotFoundError):  # an object store has no folders
        files.rm(path, recursive=True)
    return sum(int(info.get("size") or 0) for info in found.values())
