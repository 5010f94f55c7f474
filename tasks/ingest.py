"""ingest: source -> manifest. Reads every new or changed file once, checks that it is a panorama, and gives it a place."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any

from configs.schema import Config, Ingest
from storage.cells import DamagedParquet
from storage.credentials import mask_credentials
from storage.fingerprint import Identity, canonical_json, digest
from storage.manifest import Item, place, read_manifest, write_manifest
from storage.urls import filesystem, join, read_bytes
from tasks.bands import vertical_degrees
from tasks.datasets.listing import list_entries
from tasks.images import BadImage, Panorama, open_panorama
from tasks.joins import join_figures, refusal
from tasks.sources import Entry

VERSION = "3"


def identity(config: Config) -> Identity:
    """What the manifest's contents depend on, apart from the files themselves."""
    return Identity("ingest", VERSION, config.ingest.fingerprinted())


def manifest_url(config: Config) -> str:
    """One manifest for each source and way of reading it."""
    files, path = filesystem(config.source.url)
    source = mask_credentials(files.unstrip_protocol(path))
    if (chosen := (config.source.kind, config.source.split)) != ("files", None):
        source = canonical_json([source, *chosen])
    return join(config.root, "stages", "ingest", identity(config).fingerprint, f"{digest(source)[:12]}.parquet")


Retry = bool | Collection[str]
"""Which given-up items are to be tried again: all, none, or those named."""


def wants_retry(retry: Retry, item: str) -> bool:
    """Whether a given-up item is to be tried again."""
    return retry if isinstance(retry, bool) else item in retry


@dataclass(frozen=True)
class Scan:
    """A source compared with its manifest: what is known, and what must be read."""

    known: list[Item]
    to_read: list[Entry]
    present: frozenset[str]

    @property
    def absent(self) -> list[str]:
        """Items of the manifest whose file is gone from the source; their labels stay."""
        return [item.item for item in self.known if item.item not in self.present]


def scan(config: Config, retry: Retry = False) -> Scan:
    """Compare the source's listing with the manifest; reads no panorama. ``retry`` names given-up items to read again."""
    entries = list_entries(config.source)  # first, since listing takes more memory than what it leaves
    known = _with_credentials(read_manifest(manifest_url(config)), entries)
    unchanged = {_state(item) for item in known if not (item.reason and wants_retry(retry, item.item))}
    to_read = [entry for entry in entries if _state(entry) not in unchanged]
    return Scan(known, to_read, frozenset(entry.item for entry in entries))


def _with_credentials(known: Sequence[Item], entries: Sequence[Entry]) -> list[Item]:
    """Items whose URIs are those of the listing again: the manifest does not keep what must stay secret, or expires."""
    listed = {entry.item: entry.uri for entry in entries if mask_credentials(entry.uri) != entry.uri}
    return [
        replace(item, uri=listed[item.item]) if mask_credentials(listed.get(item.item, "")) == item.uri else item
        for item in known
    ]


def _state(one: Entry | Item) -> tuple[str, str, int, str, str, str]:
    """What tells, without reading a file, whether it is as it was. A new signature in its URI says nothing of it."""
    return one.item, mask_credentials(one.uri), one.size, one.stamp, one.split, canonical_json(one.metadata)


def check_entry(entry: Entry, settings: Ingest) -> Item:
    """Read one file and decode it; what is wrong with it becomes the item's ``reason``."""
    height = width = 0
    sha256 = reason = ""
    figures: dict[str, Any] = {}
    try:
        data = read_bytes(entry.uri)
        sha256 = digest(data)
        panorama = open_panorama(data, settings, vertical_degrees(entry.metadata))
        height, width = panorama.pixels.shape[:2]
        figures = _figures(panorama)
        reason = refusal(figures, settings)
    except (BadImage, DamagedParquet) as error:
        reason = str(error)
    except FileNotFoundError:
        reason = "there is no such file"
    return Item(
        entry.item,
        entry.uri,
        sha256,
        height,
        width,
        entry.size,
        entry.stamp,
        entry.split,
        reason=reason,
        metadata=entry.metadata,
        figures=figures,
    )


def _figures(panorama: Panorama) -> dict[str, Any]:
    """What a panorama's pixels and its file say, beyond its size; ``observed`` and ``plain`` only where they are not whole."""
    seen = panorama.share_observed
    figures: dict[str, Any] = {"observed": round(seen, 6)} if seen < 1 else {}
    figures |= {} if panorama.plain else {"plain": False}
    return {**figures, **panorama.pose, **join_figures(panorama.pixels, panorama.observed)}


def save(config: Config, known: Sequence[Item], checked: Sequence[Item]) -> list[Item]:
    """Place the checked items and write the manifest."""
    items = place(known, checked, config.block_size)
    if checked:
        write_manifest(manifest_url(config), items)
    return items
