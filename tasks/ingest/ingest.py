"""ingest: source -> manifest. Reads every new or changed file once, checks that it is a panorama, and gives it a place."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from functools import partial

from storage.addresses import url_at
from storage.credentials import mask_credentials
from storage.fingerprint import canonical_json, digest
from storage.forgotten import as_told, is_forgotten, names_of, read_forgotten
from storage.manifest import PLACED, SUFFIX, Item, ManifestError, add_placed, parts_url, place, read_manifest, write_manifest
from storage.urls import children, filesystem, is_local, join, remove
from tasks.ingest.check import NO_RIGHT, judged_otherwise
from tasks.ingest.datasets.listing import look_at
from tasks.ingest.entries import Entry
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


Retry = bool | Collection[str]
"""Which given-up items are to be tried again: all, none, or those named."""


def wants_retry(retry: Retry, item: str) -> bool:
    """Whether a given-up item is to be tried again."""
    return retry if isinstance(retry, bool) else item in retry


@dataclass(frozen=True)
class Scan:
    """A source compared with its manifest: what is known, and what must be read.

    ``checked`` are items that a run read which was then stopped; they have no place yet. ``notes`` say, in sentences, what else a
    user should know of the source, and ``unlisted`` why it was not looked at; empty if it was. ``came`` and ``changed`` are items
    that this run read, and that were not known before, or had other bytes.
    """

    known: list[Item]
    to_read: list[Entry]
    present: frozenset[str]
    checked: tuple[Item, ...] = ()
    notes: tuple[str, ...] = ()
    unlisted: str = ""
    came: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()

    @property
    def absent(self) -> list[str]:
        """Items of the manifest whose file is gone from the source; their labels stay."""
        return [item.item for item in self.known if item.item not in self.present]


def scan(stage: Stage, retry: Retry = False) -> Scan:
    """Compare the source's listing with the manifest; reads no panorama. ``retry`` names given-up items to read again."""
    found = look_at(stage.settings.source)  # first, since listing takes more memory than what it leaves
    known = _with_credentials(read_manifest(manifest_url(stage)), found.entries)
    again = partial(_again, retry, stage.settings)
    settled = set() if stage.settings.rehash else {_state(item) for item in known if not again(item)}
    records = read_forgotten(stage.root)
    forbidden = names_of(records, manifest_name(stage))
    wanted = (entry for entry in found.entries if entry.item not in forbidden)
    owed = {_state(entry): entry for entry in wanted if _state(entry) not in settled}
    kept = () if stage.settings.rehash else _with_credentials(_read_parts(stage), found.entries)
    checked = {_state(item): item for item in kept if _state(item) in owed and not again(item)}
    to_read = [entry for state, entry in owed.items() if state not in checked]
    present = frozenset(entry.item for entry in found.entries)
    told = as_told(known, records, manifest_name(stage))
    return Scan(told, to_read, present, tuple(checked.values()), (*found.notes, *_blind_spots(stage, found.entries)))


def as_read(stage: Stage) -> Stage:
    """The stage for whoever asks what is finished: that a run would read all files anew (``rehash``) makes nothing owed."""
    return replace(stage, settings=stage.settings.model_copy(update={"rehash": False}))


def recorded(stage: Stage, unlisted: str = "not needed") -> Scan:
    """What the manifest alone knows, for whoever asks about a store whose source need not be there."""
    known = _known(stage)
    return Scan(known, [], frozenset(item.item for item in known), unlisted=unlisted)


def _known(stage: Stage) -> list[Item]:
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


def _blind_spots(stage: Stage, entries: Sequence[Entry]) -> list[str]:
    blind = sum(not entry.stamp for entry in entries if not entry.problem)
    if not blind or stage.settings.rehash:
        return []
    return [
        f"changes of {blind} files cannot be seen, unless their size changes: the store tells neither time nor entity tag; "
        f"--set {stage.key}.rehash=true reads every file anew and compares"
    ]


def _with_credentials(known: Sequence[Item], entries: Sequence[Entry | Item]) -> list[Item]:
    """Items whose URIs are those of the listing again: the manifest does not keep what must stay secret, or expires."""
    listed = {entry.item: entry.uri for entry in entries if mask_credentials(entry.uri) != entry.uri}
    return [
        replace(item, uri=listed[item.item]) if mask_credentials(listed.get(item.item, "")) == item.uri else item
        for item in known
    ]


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


def _read_parts(stage: Stage) -> list[Item]:
    """Items that stopped runs and trials have read. A part that is damaged counts as none: its files are read again."""
    items: list[Item] = []
    folder = parts_url(manifest_url(stage))
    for name in [name for name in children(folder) if not name.startswith(PLACED)]:
        try:
            items += read_manifest(join(folder, name))
        except ManifestError:
            continue
    return items


def save(stage: Stage, known: Sequence[Item], checked: Sequence[Item]) -> list[Item]:
    """Place the checked items, all in one go, and write the manifest: places do not depend on who read what, and when."""
    items = place(_as_recorded(stage, known), checked, stage.settings.block_size)
    if checked:
        write_manifest(manifest_url(stage), items)
    folder = parts_url(manifest_url(stage))
    for name in children(folder):
        remove(join(folder, name))
    return items


def _as_recorded(stage: Stage, known: Sequence[Item]) -> Sequence[Item]:
    """Items as the manifest has them: that one is forgotten stands in its own record alone, which may be lifted."""
    if not any(map(is_forgotten, known)):
        return known
    recorded = {item.item: item for item in read_manifest(manifest_url(stage))}
    return [recorded.get(item.item, item) for item in known]


def placed(stage: Stage, scan: Scan, items: Sequence[Item]) -> Scan:
    """A scan after :func:`save` gave its items places: nothing is to be read any more, and the source needs no second look."""
    known = _with_credentials(_known(stage), items)
    before = {item.item: item.digest for item in scan.known}
    came = tuple(item.item for item in known if item.item not in before)
    changed = tuple(item.item for item in known if before.get(item.item, item.digest) != item.digest)
    return replace(scan, known=known, to_read=[], checked=(), came=came, changed=changed)
