"""The rows of a receipt, one an item. Those that are read stay packed: of the receipts of a million panoramas few are asked for
their rows, and rarely twice."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, overload

import pyarrow as pa

from storage.receipt_form import parse_rows

GIVEN_UP = "given_up"
"""The figure of a row that stands for a whole block, by which it maps items that were left out to reasons."""
UNPACKED = 32
"""Receipts whose rows are kept as objects after somebody asked for them."""
_CODEC = pa.Codec("lz4")


@dataclass(frozen=True)
class ItemRow:
    """What became of one item: ``done``, or ``quarantined`` with the reason. ``figures`` holds what the stage found.

    ``digest`` is that of the item's arrays (:func:`storage.arrays.arrays_digest`), whatever shard they lie in; empty for an item
    without any, and in receipts older than it. ``given_up_at`` names the earlier stage that gave the item up, so that this one
    never tried it; empty if it did, and in receipts older than that. ``key`` tells all that the row is made of: rows of equal
    keys are alike, in whatever block they lie; empty where nothing may be said of that, and in receipts older than it.
    """

    item: str
    state: str
    reason: str = ""
    figures: Mapping[str, Any] = field(default_factory=dict)
    digest: str = ""
    given_up_at: str = ""
    key: str = ""

    @property
    def inherited(self) -> bool:
        """Whether an earlier stage gave the item up: this one had nothing to try."""
        return bool(self.given_up_at)


class Rows(Sequence[ItemRow]):
    """The rows of a receipt whose bytes were read, and found to be sound; equal to any sequence of equal rows.

    ``telling`` are those that tell of items that were given up, which are few; ``keyed`` says whether any has a key.
    """

    __slots__ = ("_count", "_packed", "_size", "keyed", "telling")

    def __init__(self, raw: bytes, rows: Sequence[Mapping[str, Any]]) -> None:
        self._packed, self._size, self._count = _CODEC.compress(raw, asbytes=True), len(raw), len(rows)
        self.telling = tuple(ItemRow(**row) for row in rows if row["state"] != "done" or GIVEN_UP in row["figures"])
        self.keyed = any(row.get("key") for row in rows)

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, place: int) -> ItemRow: ...
    @overload
    def __getitem__(self, place: slice) -> tuple[ItemRow, ...]: ...
    def __getitem__(self, place: int | slice) -> ItemRow | tuple[ItemRow, ...]:
        return _unpacked(self._packed, self._size)[place]

    def __iter__(self) -> Iterator[ItemRow]:
        return iter(_unpacked(self._packed, self._size))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and len(self) == len(other) and all(map(ItemRow.__eq__, self, other))

    def __repr__(self) -> str:
        return repr(tuple(self))


def telling(rows: Sequence[ItemRow]) -> Sequence[ItemRow]:
    """All rows that tell of items that were given up, and perhaps others."""
    return rows.telling if isinstance(rows, Rows) else rows


def keyed(rows: Sequence[ItemRow]) -> bool:
    """Whether any row has a key."""
    return rows.keyed if isinstance(rows, Rows) else any(row.key for row in rows)


@lru_cache(maxsize=UNPACKED)
def _unpacked(packed: bytes, size: int) -> tuple[ItemRow, ...]:
    return tuple(ItemRow(**row) for row in parse_rows(_CODEC.decompress(packed, size, asbytes=True)))
