"""ingest: source -> manifest. Reads every new or changed file once, checks that it is a panorama, and gives it a place."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from storage.addresses import url_at
from storage.columns import Columns, Rows, found_in, places_in
from storage.credentials import MARKS, mask_credentials
from storage.fingerprint import canonical_json, digest
from storage.items import Item, Items
from storage.manifest import PLACED, SUFFIX, ManifestError, add_placed, parts_url, place, read_manifest, write_manifest
from storage.records.forgotten import as_told, forgotten_names, names_of, read_forgotten
from storage.urls import children, filesystem, is_local, join, remove
from tasks.ingest.check import NO_RIGHT, judged_otherwise
from tasks.ingest.datasets.listing import look_at
from tasks.ingest.entries import Entries, Entry
from tasks.ingest.settings import Ingest, Panoramas
from tasks.stage.kind import Kind, Stage

VERSION = "3"


CLIPS_VERSION = "1"


def _of_clips(settings: Panoramas) -> Kind | None:
    return CLIPS if settings.source.kind == "videos" else None


KIND = Kind("ingest", VERSION, Panoramas, {}, "panoramas", grain="source", becomes=_of_clips)
"""What it makes is a manifest, not blocks, which depends on the files themselves too."""
CLIPS = Kind("ingest", f"clips {CLIPS_VERSION}", Panoramas, {}, "clips", grain="source")
"""The same of videos: an item is a clip."""


def manifest_url(stage: Stage) -> str:
    """One manifest for each source and way of reading it."""
    files, path = filesystem(stage.settings.source.url)
    # A path within an archive does not say which archive.
    place = files.unstrip_protocol(path) if is_local(stage.settings.source.url) else url_at(stage.settings.source.url)(path)
    source = mask_credentials(place)
    if (chosen := (stage.settings.source.kind, stage.settings.source.split)) != ("files", None):
        source = canonical_json([source, *chosen])
    return join(stage.root, "stages", stage.name, stage.identity.fingerprint, f"{digest(source)[:12]}.parquet")


def manifest_name(stage: Stage) -> str:
    """What a source is called in records of its items: the same whatever the version of the code that read it."""
    return manifest_url(stage).rpartition("/")[2].removesuffix(SUFFIX)


NONE = Items.made_of([])
Retry = bool | Collection[str]
"""Which given-up items are to be tried again: all, none, or those named."""


def wants_retry(retry: Retry, item: str) -> bool:
    """Whether a given-up item is to be tried again."""
    return retry if isinstance(retry, bool) else item in retry


@dataclass(frozen=True)
class Scan:
    """A source compared with its manifest: what is known, and what must be read.

    ``listed`` is how many files it has, and ``absent`` names items of the manifest whose file is gone; their labels stay.
    ``checked`` are items that a run read which was then stopped; they have no place yet. ``notes`` say, in sentences, what else a
    user should know of the source, and ``unlisted`` why it was not looked at; empty if it was. ``came`` and ``changed`` are items
    that this run read, and that were not known before, or had other bytes.
    """

    known: Items
    to_read: Entries
    listed: int
    absent: tuple[str, ...] = ()
    checked: Items = field(default_factory=lambda: NONE)
    notes: tuple[str, ...] = ()
    unlisted: str = ""
    came: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()


def scan(stage: Stage, retry: Retry = False) -> Scan:
    """Compare the source's listing with the manifest; reads no panorama. ``retry`` names given-up items to read again."""
    found = look_at(stage.settings.source)  # first, since listing takes more memory than what it leaves
    known, records = read_manifest(manifest_url(stage)), read_forgotten(stage.root)
    owed = found.entries.where(~found_in(found.entries.column("item"), names_of(records, manifest_name(stage))))
    checked = NONE
    if not stage.settings.rehash:
        owed = owed.without(_settled(known, owed, retry, stage.settings))
        kept = _read_parts(stage)
        settled = _settled(kept, owed, retry, stage.settings)
        last = {entry: row for row, entry in enumerate(settled.tolist()) if entry >= 0}
        checked, owed = kept.take(np.array([*last.values()], np.int64)), owed.without(settled)
    told = as_told(_with_credentials(known, found.entries), records, manifest_name(stage))
    notes = (*found.notes, *_blind_spots(stage, found.entries))
    gone = told.where(places_in(told.column("item"), found.entries.column("item")) < 0).names
    return Scan(told, owed, len(found.entries), tuple(gone), _with_credentials(checked, found.entries), notes)


def _settled(items: Items, entries: Entries, retry: Retry, settings: Ingest) -> Rows:
    """For every item the row of the entry that it was made of, -1 where there is none, or the file is to be read again."""
    at = places_in(items.column("item"), entries.column("item"))
    listed = np.flatnonzero(at >= 0)
    own, theirs = items.take(listed), entries.take(at[listed])
    same = np.ones(len(listed), bool)
    for name in ("size", "stamp", "split", "metadata"):
        same &= np.asarray(pc.equal(own.column(name), theirs.column(name)))
    same &= np.asarray(pc.equal(_masked(own), _masked(theirs)))
    same[[row for row in _telling(own) if _again(retry, settings, own[row])]] = False
    found = np.full(len(items), -1)
    found[listed[same]] = at[listed[same]]
    return found


def _telling(items: Items) -> list[int]:
    """Rows of items of which more is known than that they were read."""
    told = pc.or_(pc.not_equal(items.column("reason"), ""), pc.not_equal(items.column("figures"), "{}"))
    return np.flatnonzero(np.asarray(told)).tolist()


def _may_hold_credentials(columns: Columns[Any]) -> bool:
    return any(pc.any(pc.match_substring(columns.column("uri"), mark)).as_py() for mark in MARKS)


def _masked(columns: Columns[Any]) -> pa.Array:
    if not _may_hold_credentials(columns):
        return columns.column("uri")
    return pa.array([mask_credentials(uri) for uri in columns.values("uri")], pa.string())


def as_read(stage: Stage) -> Stage:
    """The stage for whoever asks what is finished: that a run would read all files anew (``rehash``) makes nothing owed."""
    return replace(stage, settings=stage.settings.model_copy(update={"rehash": False}))


def recorded(stage: Stage, unlisted: str = "not needed") -> Scan:
    """What the manifest alone knows, for whoever asks about a store whose source need not be there."""
    known = _known(stage)
    return Scan(known, Entries.made_of([]), len(known), unlisted=unlisted)


def _known(stage: Stage) -> Items:
    """The items of the manifest, those that are forgotten given up."""
    return as_told(read_manifest(manifest_url(stage)), read_forgotten(stage.root), manifest_name(stage))


def _again(retry: Retry, settings: Ingest, item: Item) -> bool:
    """Whether a file is to be read again though nothing was seen to change of it."""
    if item.reason and wants_retry(retry, item.item):
        return True
    if item.reason.startswith(NO_RIGHT):
        own = os.access in os.supports_effective_ids
        return is_local(item.uri) and os.access(filesystem(item.uri)[1], os.R_OK, effective_ids=own)
    return judged_otherwise(item, settings)


def _blind_spots(stage: Stage, entries: Entries) -> list[str]:
    told = pc.and_(pc.equal(entries.column("stamp"), ""), pc.equal(entries.column("problem"), ""))
    blind = int(np.asarray(told).sum())
    if not blind or stage.settings.rehash:
        return []
    return [
        f"changes of {blind} files cannot be seen, unless their size changes: the store tells neither time nor entity tag; "
        f"--set {stage.key}.rehash=true reads every file anew and compares"
    ]


def _with_credentials(known: Items, entries: Columns[Any]) -> Items:
    """Items whose URIs are those of the listing again: the manifest does not keep what must stay secret, or expires."""
    if not _may_hold_credentials(entries):
        return known
    told = zip(entries.names, entries.values("uri"), strict=True)
    listed = {item: uri for item, uri in told if mask_credentials(uri) != uri}
    if not listed:
        return known
    own = zip(known.names, known.values("uri"), strict=True)
    uris = [listed[item] if mask_credentials(listed.get(item, "")) == uri else uri for item, uri in own]
    return known.with_column("uri", pa.array(uris, pa.string()))


def _state(one: Entry | Item) -> tuple[str, str, int, str, str, str]:
    """What tells, without reading a file, whether it is as it was. A new signature in its URI says nothing of it."""
    return one.item, mask_credentials(one.uri), one.size, one.stamp, one.split, canonical_json(one.metadata)


def unchanged(entry: Entry, item: Item) -> bool:
    """Whether a file is, as far as can be seen without reading it, as it was when the manifest's item was made of it."""
    return _state(entry) == _state(item)


def keep(stage: Stage, checked: Sequence[Item]) -> None:
    """Write checked items beside the manifest, where they have no place yet: a run that is stopped has not read them in vain."""
    name = digest(canonical_json([_state(item) for item in checked]))[:16]
    write_manifest(join(parts_url(manifest_url(stage)), f"{name}.parquet"), checked)


def admit(stage: Stage, items: Sequence[Item]) -> None:
    """Write whole blocks of items, with their places, beside the manifest: nothing that others read will move them."""
    add_placed(manifest_url(stage), items)


def _read_parts(stage: Stage) -> Items:
    """Items that stopped runs and trials have read. A part that is damaged counts as none: its files are read again."""
    parts: list[Items] = []
    folder = parts_url(manifest_url(stage))
    for name in [name for name in children(folder) if not name.startswith(PLACED)]:
        try:
            parts.append(read_manifest(join(folder, name)))
        except ManifestError:
            continue
    return NONE.plus(*parts)


def save(stage: Stage, known: Iterable[Item], checked: Iterable[Item]) -> Items:
    """Place the checked items, all in one go, and write the manifest: places do not depend on who read what, and when."""
    checked = Items.made_of(checked)
    items = place(_as_recorded(stage, Items.made_of(known)), checked, stage.settings.block_size)
    if checked:
        write_manifest(manifest_url(stage), items)
    folder = parts_url(manifest_url(stage))
    for name in children(folder):
        remove(join(folder, name))
    return items


def _as_recorded(stage: Stage, known: Items) -> Items:
    """Items as the manifest has them: that one is forgotten stands in its own record alone, which may be lifted."""
    if not forgotten_names(known):
        return known
    recorded = read_manifest(manifest_url(stage))
    here = found_in(recorded.column("item"), known.names)
    return recorded.where(here).plus(known.where(~found_in(known.column("item"), recorded.names)))


def placed(stage: Stage, scan: Scan, items: Items) -> Scan:
    """A scan after :func:`save` gave its items places: nothing is to be read any more, and the source needs no second look."""
    known = _with_credentials(_known(stage), items)
    came, changed = came_and_changed(scan.known, known)
    return replace(scan, known=known, to_read=Entries.made_of([]), checked=NONE, came=came, changed=changed)


def came_and_changed(before: Items, now: Items) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names of the items that are new, and of those whose bytes are others."""
    at = places_in(now.column("item"), before.column("item"))
    there = np.flatnonzero(at >= 0)
    other = pc.not_equal(now.take(there).column("digest"), before.take(at[there]).column("digest"))
    return tuple(now.where(at < 0).names), tuple(now.take(there).where(other).names)
