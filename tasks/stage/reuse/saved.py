"""Rows of a block that is not finished: what a kill or a stop in the middle of it does not lose.

After each whole shard ``rows.json`` in the block's folder says which items are done. Only the next attempt at the same block
reads it, with the same fingerprint, code, kind of device and versions, over the same inputs; all else is made anew.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

from storage.arrays import Begun
from storage.entries import differences
from storage.receipts import ROWS, read_receipt
from storage.rows import ItemRow
from storage.urls import join, read_bytes, remove, write_bytes
from tasks.stage.job import Job
from tasks.stage.reuse.adopt import seen_by_readers


@dataclass(frozen=True)
class Saved:
    """The first rows of a block, as an attempt at it left them; ``copied`` tells which of them came from other blocks.

    ``joined`` has rows of stages that are joined to its own, by their names.
    """

    rows: Sequence[ItemRow] = ()
    files: Mapping[str, Mapping[str, Any]] | None = None
    about: Mapping[str, Any] | None = None
    copied: Sequence[Mapping[str, Any]] = ()
    joined: Mapping[str, Any] = field(default_factory=dict)

    @property
    def begun(self) -> Begun:
        """What a writer goes on from."""
        return Begun(len(self.rows), self.files or {})


class Saving:
    """Keeps the rows of one attempt at a block; ``before`` is what an earlier one left that is as good as made now."""

    def __init__(self, job: Job, keys: Sequence[str], made_with: Mapping[str, Any], reuse: bool = True) -> None:
        self._job, self._url, self._told = job, join(job.url, ROWS), made_with
        self._there = False
        self.before = self._read(keys) if reuse else Saved()

    def save(self, saved: Saved) -> None:
        """Write the rows of whole shards."""
        rows = [asdict(row) for row in saved.rows]
        told = {name: getattr(saved, name) for name in ("files", "about", "copied", "joined")}
        told |= {"made_with": self._made_with, "rows": rows}
        self._there = True
        write_bytes(self._url, json.dumps(told, sort_keys=True).encode())

    def forget(self) -> None:
        """The block has its receipt."""
        if self._there:
            remove(self._url)

    @cached_property
    def _made_with(self) -> Any:
        """As JSON has it; looked up only for blocks of more than one shard."""
        return json.loads(json.dumps({**self._told, "inputs": _inputs(self._job)}))

    def _read(self, keys: Sequence[str]) -> Saved:
        try:
            data = read_bytes(self._url)
        except FileNotFoundError:
            return Saved()
        self._there = True
        try:
            told = json.loads(data)
            rows = tuple(ItemRow(**row) for row in told["rows"])
            saved = Saved(rows, told["files"], told["about"], told["copied"], told["joined"])
        except (ValueError, TypeError, KeyError):
            return Saved()
        return saved if self._holds(saved, told["made_with"], keys) else Saved()

    def _holds(self, saved: Saved, made_with: Any, keys: Sequence[str]) -> bool:
        """Whether rows are of the block's items as they are now, made as they would be now, and lie there."""
        items = zip(self._job.block.items, keys, saved.rows)
        alike = all((row.item, row.key) == (item.item, key if row.state == "done" else "") for item, key, row in items)
        given_up_anew = any(row.state == "done" and row.item in self._job.given_up for row in saved.rows)
        sound = alike and not given_up_anew and len(saved.rows) <= len(keys) and made_with == self._made_with
        return sound and not differences(self._job.url, saved.files or {})


def _inputs(job: Job) -> list[str]:
    """What a reader sees of each block that is read: rows of other inputs are other rows."""
    found = []
    for read in (one for name in job.stage.inputs for one in job.stage.stages(name) if not one.is_source):
        with suppress(FileNotFoundError):
            receipt = read_receipt(job.url_of(read))
            found.append(seen_by_readers(receipt) if receipt else "")
    return found
