"""What a source holds: the panoramas of a folder, a glob, a bucket or a list, without reading any of them."""

from __future__ import annotations

from collections.abc import Sequence

from tasks.entries import Entry, Found, SourceError, in_order, refuse_outside, without_clashes
from tasks.folders import is_pattern, look_at_folder
from tasks.lists import is_list, look_at_list
from tasks.stamps import stamp_of

__all__ = [
    "Entry",
    "Found",
    "SourceError",
    "in_order",
    "is_list",
    "is_pattern",
    "list_source",
    "look_at_source",
    "refuse_outside",
    "stamp_of",
]


def list_source(url: str, allow: Sequence[str] = ()) -> list[Entry]:
    """All panoramas of a source, sorted by item; see :func:`look_at_source`."""
    return look_at_source(url, allow).entries


def look_at_source(url: str, allow: Sequence[str] = (), strict: bool = True) -> Found:
    """All panoramas of a source, sorted by item, and what was passed over; without ``strict`` also what would stop a run.

    An item is named by its path below the source's folder, without the suffix. A list (.csv, .tsv, .parquet, .jsonl) has a column
    ``uri`` (relative to the list, or absolute), and may have ``item`` and ``split``; its other columns become capture metadata.
    Beside an image, ``<name>.json`` may hold capture metadata too. Local files that a list names, and that links lead to, must
    lie below the source's folder, or below one of ``allow``.

    Raises
    ------
    SourceError
        Nothing is there, a list is malformed, or two files would get the same item name.
    """
    found = look_at_list(url, allow) if is_list(url) else look_at_folder(url, allow)
    if strict:
        return Found(in_order(url, found.entries), found.notes)
    rest = without_clashes(url, found.entries)
    return Found(rest.entries, (*rest.notes, *found.notes))
