"""What a source of any kind holds; wrong roots are told apart from wrong layouts."""

from __future__ import annotations

import os
import re
from collections import Counter
from dataclasses import replace

import pyarrow.compute as pc

from storage.addresses import url_at
from storage.urls import filesystem, is_local
from tasks.ingest.datasets import DATA_SETS
from tasks.ingest.datasets.layout import Files, Layout, Listing, files_below
from tasks.ingest.entries import Entries, Found, SourceError, in_order
from tasks.ingest.folders import PICTURES, Wanted, is_pattern
from tasks.ingest.lists import is_list
from tasks.ingest.settings import Source
from tasks.ingest.sources import look_at_source
from tasks.ingest.videos.opened import HAS_VIDEO, NOT_READ, SUFFIXES, WANTED

MOST_LOOKED_AT = 10_000
"""Files among which a better root is looked for."""
NOT_GUESSED = frozenset({"cityscapes"})
"""Its own images are no panoramas, though twice as wide as high."""


def list_entries(source: Source) -> Entries:
    """All panoramas of a source, or those of its split, sorted by item.

    Raises
    ------
    SourceError
        There are none; the message says what was expected, and where.
    """
    return look_at(source).entries


def look_at(source: Source, strict: bool = True) -> Found:
    """All panoramas of a source, or those of its split, and what was passed over; see :func:`list_entries`.

    Without ``strict``, files of one name do not stop it: the first is taken, and the others are told.
    """
    if source.is_data_set:
        return Found(Entries.made_of(list_data_set(source).entries))
    found = look_at_source(source.url, source.allow, strict, _wanted(source))
    return replace(found, entries=_of_split(source, found.entries))


def _wanted(source: Source) -> Wanted:
    """Which files of a source are its items."""
    if source.kind != "videos":
        return PICTURES
    if not HAS_VIDEO:
        raise SourceError(f"source {source.url}: {WANTED}")
    return Wanted("clips", SUFFIXES, NOT_READ)


def list_data_set(source: Source) -> Listing:
    """The panoramas of a data set's root, or of its split; see :func:`list_entries`."""
    layout, files = DATA_SETS[source.kind].layout, files_below(source.url)
    listing = layout.listing(source.url, files, source.allow)
    if not listing.entries:
        better = _better_root(source.url, files, layout)
        hint = f"such files lie below {better}: write that as root" if better else "correct root, or the kind"
        raise SourceError(
            f"source {source.url}: no panoramas of {source.kind} found; expected are {layout.example} below the root; {hint}"
        )
    ordered = in_order(source.url, listing.entries)
    return replace(listing, entries=_of_split(source, ordered, layout.split_files))


def guess_kind(url: str) -> str:
    """The data set whose layout a root has, panoramas and truth; ``files`` if it is none that is known."""
    if is_list(url) or is_pattern(url) or (is_local(url) and os.path.isfile(filesystem(url)[1])):
        return "files"
    files = files_below(url)
    for kind in sorted(DATA_SETS.keys() - NOT_GUESSED):
        try:
            listing = DATA_SETS[kind].layout.listing(url, files)
        except SourceError:  # Parquet files of something else
            continue
        if any(count < len(listing.entries) for count in listing.lacking.values()):
            return kind
    return "files"


def _of_split(source: Source, entries: Entries, split_files: str = "") -> Entries:
    if source.split is None:
        return entries
    splits = entries.column("split")
    kept = entries.where(pc.equal(splits, source.split))
    if not len(kept):
        there = ", ".join(f"{split!r} ({count})" for split, count in sorted(Counter(splits.to_pylist()).items()))
        where = f"; splits are listed in {split_files} below the root" if split_files else ""
        raise SourceError(f"source {source.url}: no panorama is in the split {source.split!r}; there are {there}{where}")
    return kept


def _better_root(root: str, found: Files, layout: Layout) -> str:
    """The folder, above or below, from which a file has the path that it should have below the root; empty if there is none."""
    base = filesystem(root)[1]
    for path in list(found)[:MOST_LOOKED_AT]:
        parts = f"{base.strip('/')}/{path}".split("/")
        for start in range(1, len(parts)):
            if re.fullmatch(layout.pattern, "/".join(parts[start:])):
                better = "/".join(parts[:start])
                return f"/{better}" if is_local(root) else url_at(root)(better)
    return ""
