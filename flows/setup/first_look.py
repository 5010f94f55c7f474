"""A look into some panoramas of a source before anything runs: what ingest would find in them."""

from __future__ import annotations

from collections.abc import Sequence

from storage.items import Item
from tasks.ingest.check import check_entry
from tasks.ingest.entries import Entry
from tasks.ingest.settings import Ingest

MOST_PICTURES = 8
"""Files that are read and decoded: the first look must not take minutes."""


def look_into(entries: Sequence[Entry], settings: Ingest) -> list[Item]:
    """What ingest makes of at most :data:`MOST_PICTURES` files, evenly spread; files that cannot be reached are left out."""
    items = []
    for entry in entries[:: max(1, -(-len(entries) // MOST_PICTURES))]:
        try:
            items.append(check_entry(entry, settings))
        except OSError:
            continue
    return items


def figures_in_words(items: Sequence[Item]) -> str:
    """The range of each figure over some items, as ``seam 0.14 to 0.90``; empty if there are none."""
    ranges = []
    for name in dict.fromkeys(name for item in items for name in item.figures):
        values = [item.figures[name] for item in items if isinstance(item.figures.get(name), (int, float))]
        if name == "plain":
            ranges.append(f"{len(values)} not as any decoder reads them")
        elif values:
            ranges.append(f"{name} {min(values):g} to {max(values):g}" if len(values) > 1 else f"{name} {values[0]:g}")
    return ", ".join(ranges)
