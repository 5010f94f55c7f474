"""Files of a block by what a receipt says of them: their size and sha256."""

from __future__ import annotations

import errno
import hashlib
from collections.abc import Mapping
from typing import Any

from storage.credentials import mask_credentials
from storage.retries import StoreError
from storage.urls import join, read_bytes, write_bytes

Entries = dict[str, dict[str, Any]]
"""Files by their path in a block's folder -> size and sha256."""


def entry_of(data: bytes) -> dict[str, Any]:
    """What a receipt says of a file with these bytes."""
    return {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}


def write_file(url: str, name: str, data: bytes) -> Entries:
    """Write a file into a block's folder; returns its entry for the receipt."""
    write_bytes(join(url, name), data)
    return {name: entry_of(data)}


def copy_files(origin: str, url: str, files: Mapping[str, Mapping[str, Any]]) -> bool:
    """Copy files of a block into another block's folder, each held against its entry; False at the first that is not so."""
    for name, entry in files.items():
        try:
            data = read_bytes(join(origin, name))
        except FileNotFoundError:
            return False
        if entry_of(data) != entry:
            return False
        write_bytes(join(url, name), data)
    return True


def refuse_unwritten(url: str, written: Mapping[str, Mapping[str, Any]]) -> None:
    """Read back what was written into a block's folder.

    A receipt names what its writer wrote, and not what lies there afterwards: that may be more, of an attempt that died, and may
    be less, where somebody tidied up meanwhile.

    Raises
    ------
    StoreError
        A file is gone or has other bytes; the block is to be made again.
    """
    if problems := differences(url, written):
        shown = mask_credentials(url)
        raise StoreError(errno.EIO, f"{shown}: {problems[0]}, though it was just written; did another program tidy there?")


def differences(url: str, wanted: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """What of the files in a folder is not as these entries say: one line a file, none if all is well."""
    problems = []
    for name, entry in wanted.items():
        try:
            present = entry_of(read_bytes(join(url, name)))
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            problems.append(f"{name}: is missing")
            continue
        if present != entry:
            now, then = present["sha256"][:12], entry["sha256"][:12]
            problems.append(f"{name}: bytes differ from the receipt (sha256 {now}, was {then})")
    return problems
