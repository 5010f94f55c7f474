"""One file of a source, read and checked: what is wrong with it is told, and no reason to stop."""

from __future__ import annotations

import errno
from dataclasses import dataclass, field, replace
from typing import Any

from storage.cells import DamagedParquet
from storage.fingerprint import digest
from storage.items import Item
from storage.retries import StoreError
from storage.urls import is_local, read_bytes
from tasks.ingest.entries import Entry
from tasks.ingest.images.bands import vertical_degrees
from tasks.ingest.images.decode import BadImage, Panorama, open_panorama
from tasks.ingest.images.joins import join_figures, refusal
from tasks.ingest.settings import Ingest, Panoramas
from tasks.ingest.videos.check import check_clip
from tasks.ingest.videos.clip import CLIP
from tasks.ingest.videos.demux import demux
from tasks.ingest.videos.opened import BadClip

NO_RIGHT = "may not be read by the user who runs this"
"""How the reason begins of a file that is read again once this user may."""


def check_entry(entry: Entry, settings: Ingest) -> Item:
    """Read one file and decode it; what is wrong with it becomes the item's ``reason``."""
    if entry.problem:
        return _given_up(entry)
    seen = _Seen()
    reason = ""
    try:
        _look_at(entry, settings, seen)
        reason = refusal(seen.figures, settings)
    except (BadImage, BadClip, DamagedParquet) as error:
        reason = str(error)
    except FileNotFoundError:
        reason = "there is no such file"
    except PermissionError as error:
        then = "run again" if is_local(entry.uri) else "run again with --retry-quarantined"
        reason = f"{NO_RIGHT} ({error.strerror}); give the right to read it, and {then}"
    except StoreError as error:
        if error.errno != errno.EINVAL:  # of others the next file would tell the same
            raise
        reason = str(error)
    return Item(
        entry.item,
        entry.uri,
        seen.digest,
        seen.height,
        seen.width,
        entry.size,
        entry.stamp,
        entry.split,
        reason=reason,
        metadata=entry.metadata,
        figures=seen.figures,
    )


@dataclass
class _Seen:
    """What is found in a file, as far as it can be read."""

    digest: str = ""
    height: int = 0
    width: int = 0
    figures: dict[str, Any] = field(default_factory=dict)


def _look_at(entry: Entry, settings: Ingest, seen: _Seen) -> None:
    """Read one file, and note what is found; raises BadImage or BadClip with the reason if it cannot be used."""
    if is_of_clips(settings):
        checked = check_clip(entry.uri, settings)
        seen.digest, seen.height, seen.width = checked.digest, checked.height, checked.width
        seen.figures = {CLIP: checked.clip.as_json(), **checked.figures}
        return
    data = read_bytes(entry.uri)
    seen.digest = digest(data)
    _refuse_pointer(data)
    panorama = open_panorama(data, settings, vertical_degrees(entry.metadata))
    seen.height, seen.width = panorama.pixels.shape[:2]
    seen.figures = _figures(panorama)


def is_of_clips(settings: Ingest) -> bool:
    """Whether the files of a source are clips."""
    return isinstance(settings, Panoramas) and settings.source.kind == "videos"


def check(entry: Entry, settings: Ingest, before: Item | None = None) -> Item:
    """:func:`check_entry`, but what is known of an item whose bytes are as they were ``before`` is not found out again."""
    sound = before is not None and not before.reason and not judged_otherwise(before, settings)
    if before is not None and sound and not entry.problem and entry.metadata == before.metadata:
        try:
            same = (demux(entry.uri).digest if is_of_clips(settings) else digest(read_bytes(entry.uri))) == before.digest
        except (BadClip, FileNotFoundError, PermissionError):
            same = False
        if same:
            return replace(before, uri=entry.uri, size=entry.size, stamp=entry.stamp, split=entry.split, block=-1, slot=-1)
    return check_entry(entry, settings)


def _given_up(entry: Entry) -> Item:
    return Item(
        entry.item, entry.uri, "", 0, 0, entry.size, entry.stamp, entry.split, reason=entry.problem, metadata=entry.metadata
    )


POINTERS = {b"version https://git-lfs": "Git LFS; run git lfs pull", b"/annex/objects/": "git-annex; run git annex get"}


def _refuse_pointer(data: bytes) -> None:
    for start, whose in POINTERS.items():
        if data.startswith(start):
            raise BadImage(f"the file only stands for one that is kept elsewhere, by {whose}")


def _figures(panorama: Panorama) -> dict[str, Any]:
    """What a panorama's pixels and its file say, beyond its size; ``observed`` and ``plain`` only where they are not whole."""
    seen = panorama.share_observed
    figures: dict[str, Any] = {"observed": round(seen, 6)} if seen < 1 else {}
    figures |= {} if panorama.plain else {"plain": False}
    return {**figures, **panorama.pose, **join_figures(panorama.pixels, panorama.observed)}


def judged_otherwise(item: Item, settings: Ingest) -> bool:
    """Whether a file's figures, with the limits of today, say something else of it than was said when it was read."""
    return bool(item.figures) and refusal(item.figures, settings) != item.reason
