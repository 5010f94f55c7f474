"""What becomes of panoramas between two looks at their source: new, changed, renamed, removed, forgotten, doubled.

Told by the digests of their bytes, which are their pixels: nothing is guessed from names or times.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow.compute as pc

from storage.columns import found_in
from storage.fingerprint import digest
from storage.items import Item, Items
from storage.records.forgotten import forgotten_names, is_forgotten
from storage.urls import read_bytes
from tasks.ingest.entries import Entry
from tasks.ingest.ingest import Scan, unchanged

WAS = "was"
"""The figure of an item that says under which name its pixels were known when it came."""
MOST_LOOKED_AT = 64
"""New files of the size of a removed one whose bytes are read to see whether they are it; others tell once they are ingested."""


@dataclass(frozen=True)
class Life:
    """Names of a source's items by what became of them; ``renamed`` from and to, ``doubled`` all that share their pixels.

    ``leaving`` are those with a place that are in the source no more, renamed ones too: the next published version is without
    them.
    """

    new: tuple[str, ...]
    changed: tuple[str, ...]
    renamed: tuple[tuple[str, str], ...]
    removed: tuple[str, ...]
    forgotten: tuple[str, ...]
    doubled: tuple[tuple[str, ...], ...]
    leaving: tuple[str, ...]


def life_of(scan: Scan) -> Life:
    """What became of the items of a source. Reads a few files where names went and others of the same size came."""
    names = scan.known.column("item")
    forgotten = set(forgotten_names(scan.known))
    gone = list(scan.known.where(found_in(names, set(scan.absent) - forgotten)))
    coming = {*scan.to_read.names, *scan.checked.names}
    known = {item.item: item for item in scan.known.where(found_in(names, coming))}
    entries: Sequence[Entry | Item] = [*scan.to_read, *scan.checked]
    fresh = [entry for entry in entries if entry.item not in known]
    seen = [entry.item for entry in scan.to_read if entry.item in known and not unchanged(entry, known[entry.item])]
    seen += [item.item for item in scan.checked if item.item in known]
    there = scan.known.where(~found_in(names, forgotten.union(scan.absent)))
    pairs = _told_at_ingest(there, {item.item for item in gone}) | former_names(_with_digests(fresh, gone), gone)
    old = set(pairs.values())
    new = [*(entry.item for entry in fresh), *scan.came]
    return Life(
        new=tuple(name for name in new if name not in pairs and name not in forgotten),
        changed=tuple(dict.fromkeys([*seen, *(name for name in scan.changed if name not in forgotten)])),
        renamed=tuple((before, now) for now, before in pairs.items()),
        removed=tuple(item.item for item in gone if item.item not in old),
        forgotten=tuple(sorted(forgotten)),
        doubled=doubled(there),
        leaving=tuple(item.item for item in gone if item.block >= 0),
    )


def doubled(items: Items) -> tuple[tuple[str, ...], ...]:
    """Names of good items that share their pixels."""
    names: dict[str, list[str]] = defaultdict(list)
    hashes = np.fromiter(map(hash, items.each("digest")), np.int64, len(items))
    values, counts = np.unique(hashes, return_counts=True)
    for item in items.where(np.isin(hashes, values[counts > 1])):
        if item.digest and not item.reason:
            names[item.digest].append(item.item)
    return tuple(tuple(sorted(same)) for same in names.values() if len(same) > 1)


def with_former_names(scan: Scan, checked: Items) -> Items:
    """Freshly checked items, those that are new with the name that their pixels had, where that name went from the source."""
    gone = scan.known.where(found_in(scan.known.column("item"), scan.absent))
    came = checked.where(~found_in(checked.column("item"), scan.known.names)) if len(gone) else ()
    was = former_names(came, [item for item in gone if not is_forgotten(item)])
    if not was:
        return checked
    named = (replace(one, figures={**one.figures, WAS: was[one.item]}) if one.item in was else one for one in checked)
    return Items.made_of(named)


def former_names(came: Iterable[Item], gone: Iterable[Item]) -> dict[str, str]:
    """Items that came -> those that went and had the same pixels, each once."""
    left: dict[str, list[str]] = defaultdict(list)
    for item in gone:
        if item.digest:
            left[item.digest].append(item.item)
    return {item.item: left[item.digest].pop(0) for item in came if left.get(item.digest)}


def _told_at_ingest(there: Items, gone: set[str]) -> dict[str, str]:
    renamed = there.where(pc.match_substring(there.column("figures"), f'"{WAS}":')) if gone else ()
    was: Mapping[str, str] = {item.item: str(item.figures[WAS]) for item in renamed if WAS in item.figures}
    return {item: before for item, before in was.items() if before in gone}


def _with_digests(fresh: Sequence[Entry | Item], gone: Sequence[Item]) -> list[Item]:
    """Of new files those that may be a removed one under another name, with the digest of their bytes."""
    sizes = {item.size for item in gone if item.digest}
    found = [one for one in fresh if isinstance(one, Item)]
    alike = [one for one in fresh if isinstance(one, Entry) and one.size in sizes and not one.problem]
    for entry in alike[:MOST_LOOKED_AT]:
        try:
            found.append(Item(entry.item, entry.uri, digest(read_bytes(entry.uri)), 0, 0, entry.size, entry.stamp))
        except OSError:
            continue  # the run that reads it says why
    return found
