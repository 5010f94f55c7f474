"""Items and their blocks: panoramas, each in a slot of a block, many of them in columns."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import groupby
from typing import Any

import numpy as np
import pyarrow as pa

from storage.columns import Columns, column_of
from storage.fingerprint import canonical_json, digest

SCHEMA = pa.schema(
    [
        ("item", pa.string()),
        ("uri", pa.string()),
        ("digest", pa.string()),
        ("height", pa.int32()),
        ("width", pa.int32()),
        ("split", pa.string()),
        ("block", pa.int32()),
        ("slot", pa.int32()),
        ("size", pa.int64()),
        ("stamp", pa.string()),
        ("metadata", pa.string()),
        ("figures", pa.string()),
        ("reason", pa.string()),
    ]
)


@dataclass(frozen=True, slots=True)
class Item:
    """One panorama. ``block`` is -1 for a quarantined one, whose ``reason`` says why.

    ``size`` and ``stamp`` (modification time or entity tag) tell whether a file must be read again; ``digest`` is the
    sha256 of its bytes; ``metadata`` holds what is known of the capture; ``figures`` what ingest found in the pixels, such as
    ``observed``, the share of the sphere that was photographed (1 where it is not named).
    """

    item: str
    uri: str
    digest: str
    height: int
    width: int
    size: int
    stamp: str
    split: str = ""
    block: int = -1
    slot: int = -1
    reason: str = ""
    metadata: dict[str, Any] = field(default_factory=dict)
    figures: dict[str, Any] = field(default_factory=dict)


class Items(Columns[Item]):
    """Items in columns."""

    @classmethod
    def made_of(cls, items: Iterable[Item]) -> Items:
        """Items in columns, whatever they were in."""
        return cls.of(Item, SCHEMA, items)

    @property
    def blocks(self) -> list[Block]:
        """The blocks that those with a place make, in order."""
        numbers, slots = self.numbers("block"), self.numbers("slot")
        placed = np.flatnonzero(numbers >= 0)
        rows = placed[np.lexsort((slots[placed], numbers[placed]))]
        parts = np.split(rows, np.flatnonzero(np.diff(numbers[rows])) + 1)
        return [Block(int(numbers[part[0]]), self.take(part)) for part in parts if len(part)]


@dataclass(frozen=True)
class Block:
    """The items of one block in the order of their slots; ``name`` changes when any item's bytes do, or when
    ingest gives one up, or takes one up again."""

    index: int
    items: Sequence[Item]

    @cached_property
    def name(self) -> str:
        """Number and digest of the contents, such as ``000002-3fa9c1d0e5b7``."""
        told = zip(*(column_of(self.items, name) for name in ("item", "digest", "metadata", "reason")), strict=True)
        contents = [[item, pixels, metadata, *(["given up"] if reason else [])] for item, pixels, metadata, reason in told]
        return f"{self.index:06d}-{digest(canonical_json(contents))[:12]}"


def blocks_of(items: Iterable[Item]) -> list[Block]:
    """The blocks that the placed items make, in order."""
    if isinstance(items, Items):
        return items.blocks
    placed = sorted((item for item in items if item.block >= 0), key=lambda item: (item.block, item.slot))
    return [Block(index, tuple(group)) for index, group in groupby(placed, key=lambda item: item.block)]
