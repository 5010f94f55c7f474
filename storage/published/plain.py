"""Published labels: immutable versions of what is finished, and a small file that names the latest one.

``<folder>/<version>/`` is a plain Zarr v3 group. ``<folder>/<version>.json`` is written when all of it is there; without that
record a version does not exist. ``<folder>/latest.json`` is written last, atomically.

``storage/published/icechunk.py`` keeps the same group in an Icechunk repository, with the same functions.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import zarr
from numpy.typing import NDArray

from storage.arrays import RecordedStore
from storage.entries import differences, refuse_unwritten
from storage.published.contents import Row, write_arrays
from storage.receipts import digest_files
from storage.urls import children, files_below, join, read_bytes, settle, write_bytes, zarr_store

LATEST = "latest.json"
KEPT = frozenset({"item", "split", "uri", "digest"})
"""Arrays that say which panorama a row is of, and stay when its labels go."""


def write_version(
    folder: str, version: str, items: Iterable[Mapping[str, NDArray] | None], rows: Sequence[Row], attributes: Mapping[str, Any]
) -> None:
    """Write a version whole, and make it the latest one; it exists once its record does.

    Parameters
    ----------
    folder : str
        URL of the publication.
    version : str
        From :func:`storage.published.contents.version_of`; what a killed writer left of it is overwritten with the same bytes.
    items : iterable
        The arrays of each panorama, or None for one without labels. Streamed: a shard of each array is in memory at once.
    rows : sequence
        One for each panorama; each key becomes an array of strings or booleans.
    attributes : mapping
        Attributes of the group, JSON values.
    """
    url = join(folder, version)
    store = RecordedStore(zarr_store(url))
    write_arrays(url, store, items, rows, {**attributes, "version": version})
    with warnings.catch_warnings():  # that version 3 of the format does not name it yet is known, and no news for a user
        warnings.filterwarnings("ignore", message="Consolidated metadata")
        zarr.consolidate_metadata(store)
    settle(url)
    refuse_unwritten(url, store.entries)
    size = sum(entry["bytes"] for entry in store.entries.values())
    record: dict[str, Any] = {"version": version, "panoramas": len(rows), "bytes": size}
    record |= {key: attributes[key] for key in ("created", "run", "complete")}
    record["files"] = dict(sorted(store.entries.items()))
    write_bytes(f"{url}.json", json.dumps(record, indent=1).encode())
    point_at(folder, version)


def is_published(folder: str, version: str) -> bool:
    """Whether a version is there, whole: its record can be read, and none of its panoramas was forgotten since."""
    record = _record(join(folder, f"{version}.json"))
    return record is not None and not record.get("forgotten")


def blank(folder: str, version: str, rows: Mapping[int, str], reason: str) -> None:
    """Take some panoramas out of a version, whose other rows stay as they are; whole shards are written again.

    Their labels are zero then, their figures empty, ``valid`` is false and ``reason`` says why. The version's record names them,
    and is written last; blanking them again, after a kill, does no harm.

    Parameters
    ----------
    folder, version : str
    rows : mapping
        Place in the arrays -> name of the item.
    reason : str
    """
    url, record = join(folder, version), _record(join(folder, f"{version}.json"))
    assert record is not None, "versions have records"
    store = RecordedStore(zarr_store(url), dict(record.get("files") or digest_files(url)))
    group = zarr.open_group(store, mode="r+", zarr_format=3)
    told: dict[str, Any] = {"valid": False, "reason": reason, "figures": "{}"}
    for name, array in group.arrays():
        for row in rows if name not in KEPT else ():
            # A chunk that is all zeros is written too: one that is not there counts as lost.
            array.with_config({"write_empty_chunks": True})[row] = told.get(name, 0)
    settle(url)
    refuse_unwritten(url, store.entries)
    record["files"] = dict(sorted(store.entries.items()))
    record["bytes"] = sum(entry["bytes"] for entry in store.entries.values())
    record["forgotten"] = sorted({*record.get("forgotten", ()), *rows.values()})
    write_bytes(f"{url}.json", json.dumps(record, indent=1).encode())


def check_version(folder: str, version: str) -> list[str]:
    """What of a version is not as it was written, a line a file; of one whose record names no files, only that some are gone."""
    url, record = join(folder, version), _record(join(folder, f"{version}.json"))
    if record is None:
        return [f"{version}.json: cannot be read"]
    if "files" in record:
        return differences(url, record["files"])
    size = sum(info.get("size") or 0 for info in files_below(url).values())
    return [] if size == record["bytes"] else [f"holds {size} bytes, and {record['bytes']} were written"]


def point_at(folder: str, version: str) -> None:
    """Make a version the latest one."""
    write_bytes(join(folder, LATEST), json.dumps({"version": version}).encode())


def latest_version(folder: str) -> str | None:
    """The version that readers get, or None if nothing was published, or what says which cannot be read."""
    return str(found["version"]) if (found := _record(join(folder, LATEST))) else None


def _record(url: str) -> dict[str, Any] | None:
    """The JSON object of a version, or None where there is none; what a newer version tells beyond is kept."""
    try:
        value = json.loads(read_bytes(url))
    except (FileNotFoundError, ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) and isinstance(value.get("version"), str) else None


def versions(folder: str) -> list[dict[str, Any]]:
    """The records of all versions, oldest first: version, created, panoramas, bytes, run, complete, latest."""
    latest = latest_version(folder)
    names = [name for name in children(folder) if name.endswith(".json") and name != LATEST]
    records = [record for name in names if (record := _record(join(folder, name)))]
    told = [{key: value for key, value in one.items() if key != "files"} for one in records]
    return sorted(({**one, "latest": one["version"] == latest} for one in told), key=lambda one: one["created"])


def open_published(folder: str, version: str | None = None) -> zarr.Group:
    """See :func:`storage.published.opening.open_published`."""
    wanted = version or latest_version(folder)
    if wanted is None or _record(join(folder, f"{wanted}.json")) is None:
        raise FileNotFoundError(f"{folder}: {'nothing' if wanted is None else f'no version {wanted}'} is published there")
    return zarr.open_consolidated(zarr_store(join(folder, wanted), read_only=True), mode="r", zarr_format=3)
