"""What a source holds: the panoramas of a folder, a glob, a bucket or a list, without reading any of them."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import pyarrow.parquet as pq

from storage.urls import filesystem, is_local, join, read_bytes
from tasks.images import SUFFIXES

LISTS = (".csv", ".parquet")


class SourceError(ValueError):
    """The source cannot be listed; the message says what to change."""


@dataclass(frozen=True)
class Entry:
    """A panorama before it is read. ``stamp`` changes when the file does."""

    item: str
    uri: str
    size: int
    stamp: str
    split: str = ""
    metadata: dict[str, Any] = field(default_factory=dict)


def list_source(url: str) -> list[Entry]:
    """All panoramas of a source, sorted by item.

    An item is named by its path below the source's folder, without the suffix. A list (.csv, .parquet) has a column ``uri``
    (absolute, or relative to the list), and may have ``item`` and ``split``; its other columns become capture metadata. Beside an
    image, ``<name>.json`` may hold capture metadata too.

    Raises
    ------
    SourceError
        Nothing is there, a list is malformed, or two files would get the same item name.
    """
    entries = _from_list(url) if url.endswith(LISTS) else _from_files(url)
    if not entries:
        raise SourceError(f"source {url}: no panoramas found; files must end in one of {', '.join(SUFFIXES)}")
    seen: dict[str, str] = {}
    for entry in entries:
        if entry.item in seen:
            both = f"{seen[entry.item]} and {entry.uri}"
            raise SourceError(f"source {url}: {both} would both be item {entry.item!r}; rename one, or give ids in a list")
        seen[entry.item] = entry.uri
        if entry.item.startswith("/") or ".." in entry.item.split("/"):
            raise SourceError(f"source {url}: item name {entry.item!r} may not leave its folder; rename it")
    return sorted(entries, key=lambda entry: entry.item)


def _stamp(info: dict[str, Any]) -> str:
    for key in ("ETag", "etag", "md5", "mtime", "LastModified", "last_modified", "created"):
        if info.get(key):
            return str(info[key])
    return ""


def _from_files(url: str) -> list[Entry]:
    files, path = filesystem(url)
    files.invalidate_cache()
    if any(mark in path for mark in "*?["):
        found = files.glob(path, detail=True)
        base = path.split("*")[0].split("?")[0].split("[")[0].rsplit("/", 1)[0]
    elif files.isfile(path):
        found, base = {path: files.info(path)}, path.rsplit("/", 1)[0]
    else:
        found, base = files.find(path, detail=True), path
    base = base.rstrip("/") + "/"
    images = {name: info for name, info in found.items() if name.lower().endswith(SUFFIXES)}
    sidecars = {name for name in found if name.lower().endswith(".json")}
    entries = []
    for name, info in images.items():
        stem = name.rsplit(".", 1)[0]
        metadata = _sidecar(files.unstrip_protocol(f"{stem}.json")) if f"{stem}.json" in sidecars else {}
        uri = name if is_local(url) else files.unstrip_protocol(name)
        split = str(metadata.pop("split", ""))
        entries.append(Entry(stem.removeprefix(base), uri, int(info["size"] or 0), _stamp(info), split, metadata))
    return entries


def _sidecar(uri: str) -> dict[str, Any]:
    try:
        metadata = json.loads(read_bytes(uri))
    except ValueError as error:
        raise SourceError(f"sidecar {uri}: is not valid JSON ({error}); mend or remove it") from error
    if not isinstance(metadata, dict):
        raise SourceError(f"sidecar {uri}: must hold a JSON object of capture metadata")
    return metadata


def _from_list(url: str) -> list[Entry]:
    try:
        data = read_bytes(url)
    except FileNotFoundError as error:
        raise SourceError(f"source {url}: there is no such list") from error
    rows: Iterable[dict[str, Any]]
    if url.endswith(".parquet"):
        rows = pq.read_table(io.BytesIO(data)).to_pylist()
    else:
        rows = csv.DictReader(io.StringIO(data.decode("utf-8-sig")))
    return [_list_entry(url, number, dict(row)) for number, row in enumerate(rows, 1)]


def _list_entry(url: str, number: int, row: dict[str, Any]) -> Entry:
    uri = row.pop("uri", None)
    if not uri:
        raise SourceError(f"source {url}: row {number} has no `uri`; the list needs a column of that name")
    if not urlsplit(uri).scheme and not uri.startswith("/"):
        uri = join(url.rsplit("/", 1)[0] if "/" in url else ".", uri)
    files, path = filesystem(uri)
    info = files.info(path) if files.exists(path) else {"size": 0}
    item = row.pop("item", None) or path.rsplit("/", 1)[-1].rsplit(".", 1)[0]
    split = str(row.pop("split", None) or "")
    metadata = {key: value for key, value in row.items() if key and value is not None}
    return Entry(str(item), uri, int(info["size"] or 0), _stamp(info), split, metadata)
