"""Rows of a block that is not finished: what a kill or a stop in the middle of it does not lose.

After each whole shard ``rows.json`` in the block's folder says which items are done. Only the next attempt at the same block
reads it, with the same fingerprint, code, kind of device and versions, over the same inputs; all else is made anew.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

from storage.arrays import Begun
from storage.entries import differences
from storage.receipts import ROWS, ItemRow, read_receipt
from storage.urls import join, read_bytes, remove, write_bytes
from tasks.stage.adopt import seen_by_readers
from tasks.stage.job import Job


@dataclass(frozen=True)
class Saved:
    """The first rows of a block, as an attempt at it left them; ``copied`` tells which of them came from other blocks."""

    rows: Sequence[ItemRow] = ()
    files: Mapping[str, Mapping[str, Any]] | None = None
    about: Mapping[str, Any] | None = None
    copied: Sequence[Mapping[str, Any]] = ()

    @property
    def begun(self) -> Begun:
        """What a writer goes on from."""
        return Begun(len(self.rows), self.files or {})


class Saving:
    """Keeps the rows of one attempt at a block; ``before`` is what an earlier one left that is as good as made now."""

    def __init__(self, job: Job, keys: Sequence[str], made_with: Mapping[str, Any], reuse: bool = True) -> None:
        self._url = join(job.url, ROWS)
        self._made_with = json.loads(json.dumps({**made_with, "inputs": _inputs(job)}))
        self.before = self._read(job, keys) if reuse else Saved()

    def save(self, saved: Saved) -> None:
        """Write the rows of whole shards."""
        rows = [asdict(row) for row in saved.rows]
        told = {"made_with": self._made_with, "rows": rows, "files": saved.files, "about": saved.about, "copied": saved.copied}
        write_bytes(self._url, json.dumps(told, sort_keys=True).encode())

    def forget(self) -> None:
        """The block has its receipt."""
        remove(self._url)

    def _read(self, job: Job, keys: Sequence[str]) -> Saved:
        try:
            told = json.loads(read_bytes(self._url))
            rows = tuple(ItemRow(**row) for row in told["rows"])
            saved = Saved(rows, told["files"], told["about"], told["copied"])
        except (FileNotFoundError, ValueError, TypeError, KeyError):
            return Saved()
        items = [(item.item, key) for item, key in zip(job.block.items, keys, strict=True)][: len(rows)]
        alike = told["made_with"] == self._made_with and [(row.item, row.key) for row in rows] == [
            (item, key if row.state == "done" else "") for (item, key), row in zip(items, rows)
        ]
        given_up_anew = any(row.state == "done" and row.item in job.given_up for row in rows)
        if not alike or given_up_anew or differences(job.url, saved.files or {}):
            return Saved()
        return saved


def _inputs(job: Job) -> list[str]:
    """What a reader sees of each block that is read: rows of other inputs are other rows."""
    found = []
    for read in (one for name in job.stage.inputs for one in job.stage.stages(name) if not one.is_source):
        with suppress(FileNotFoundError):
            receipt = read_receipt(job.url_of(read))
            found.append(seen_by_readers(receipt) if receipt else "")
    return found
