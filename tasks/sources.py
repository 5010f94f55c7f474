"""What a source holds: the panoramas of a folder, a glob, a bucket or a list, without reading any of them."""

from __future__ import annotations

import csv
import io
import json
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import pyarrow as pa
import pyarrow.parquet as pq

from storage.credentials import mask_credentials, mask_settings
from storage.manifest import unsafe_name
from storage.retries import persist
from storage.urls import filesystem, info, is_local, join, read_bytes
from tasks.images import SUFFIXES

LISTS = (".csv", ".parquet")
REMOTE = ("s3", "gs", "gcs", "az", "abfs", "abfss", "hf", "http", "https")
"""Kinds of URLs that a list may name, besides its own. fsspec knows many more, some of which open local files by other names."""
CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
MOST_SIDECAR_BYTES = 1_000_000
MOST_URI_LETTERS = 4096
MOST_NAME_BYTES = 255


class SourceError(ValueError):
    """The source cannot be listed; the message says what to change."""

    def __init__(self, message: str) -> None:
        super().__init__(mask_credentials(message))


@dataclass(frozen=True, slots=True)
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
    (relative to the list, or absolute; local files must lie below the list's folder), and may have ``item`` and ``split``; its
    other columns become capture metadata. Beside an image, ``<name>.json`` may hold capture metadata too.

    Raises
    ------
    SourceError
        Nothing is there, a list is malformed, or two files would get the same item name.
    """
    entries = _from_list(url) if url.endswith(LISTS) else _from_files(url)
    if not entries:
        raise SourceError(f"source {url}: no panoramas found; files must end in one of {', '.join(SUFFIXES)}")
    return in_order(url, entries)


def in_order(url: str, entries: Iterable[Entry]) -> list[Entry]:
    """The entries sorted by item; SourceError if two have one name, or a name is not safe as part of a path."""
    seen: dict[str, Entry] = {}
    for entry in entries:
        if entry.item in seen:
            both = f"{seen[entry.item].uri} and {entry.uri}"
            raise SourceError(f"source {url}: {both} would both be item {entry.item!r}; rename one, or give ids in a list")
        seen[entry.item] = entry
        if problem := unsafe_name(entry.item):
            raise SourceError(f"source {url}: item name {entry.item[:80]!r} {problem}; rename the file, or give ids in a list")
    return [seen[item] for item in sorted(seen)]


def stamp_of(about: dict[str, Any]) -> str:
    """Entity tag or modification time of a file, from what fsspec says of it."""
    for key in ("ETag", "etag", "md5", "mtime", "LastModified", "last_modified", "created"):
        if about.get(key):
            return str(about[key])
    return ""


def _from_files(url: str) -> list[Entry]:
    files, path = filesystem(url)
    files.invalidate_cache()
    if any(mark in path for mark in "*?["):
        found = persist(url, files.glob, path, detail=True)
        base = path.split("*")[0].split("?")[0].split("[")[0].rsplit("/", 1)[0]
    elif (about := info(url)) is not None and about["type"] == "file":
        found, base = {path: about}, path.rsplit("/", 1)[0]
    else:
        found, base = persist(url, files.find, path, detail=True), path
    base = base.rstrip("/") + "/"
    images = {name: about for name, about in found.items() if name.lower().endswith(SUFFIXES)}
    sidecars = {name: about for name, about in found.items() if name.lower().endswith(".json")}
    entries = []
    for name, image in images.items():
        stem = name.rsplit(".", 1)[0]
        sidecar = sidecars.get(f"{stem}.json")
        if is_local(url):
            _check_kinds(url, base, {name: image, f"{stem}.json": sidecar or {"type": "file"}})
        metadata = _sidecar(files.unstrip_protocol(f"{stem}.json"), sidecar) if sidecar else {}
        uri = name if is_local(url) else files.unstrip_protocol(name)
        split = str(metadata.pop("split", ""))
        entries.append(Entry(stem.removeprefix(base), uri, int(image["size"] or 0), stamp_of(image), split, metadata))
    return entries


def _check_kinds(url: str, base: str, found: Mapping[str, Mapping[str, Any]]) -> None:
    """Refuse what is no file and leads out of the folder: links, pipes, devices. Folders that are links are never entered."""
    for path, about in found.items():
        if about["type"] != "file":
            refuse_outside(f"source {url}", path, base)


def refuse_outside(where: str, path: str, folder: str) -> None:
    """Raise SourceError if a local path leads out of a folder, through ``..`` or links, or to what is no regular file."""
    real, root = os.path.realpath(path), os.path.realpath(folder)
    if os.path.commonpath([real, root]) != root:
        raise SourceError(
            f"{where}: {path!r} leads out of {root} to {real}; copy the file there, use the folder that holds it as the source, "
            "or move the list to a folder above it"
        )
    if os.path.exists(real) and not os.path.isfile(real):
        raise SourceError(f"{where}: {path!r} is a folder, pipe or device, not a file; remove it")


def _sidecar(uri: str, about: dict[str, Any]) -> dict[str, Any]:
    if int(about.get("size") or 0) > MOST_SIDECAR_BYTES:
        raise SourceError(f"sidecar {uri}: is larger than {MOST_SIDECAR_BYTES // 1000} kB, too much for capture metadata")
    try:
        metadata = json.loads(read_bytes(uri))
    except (ValueError, RecursionError) as error:
        raise SourceError(f"sidecar {uri}: is not valid JSON ({str(error)[:200]}); mend or remove it") from error
    if not isinstance(metadata, dict):
        raise SourceError(f"sidecar {uri}: must hold a JSON object of capture metadata")
    return _plain(f"sidecar {uri}", metadata)


def _plain(where: str, metadata: dict[str, Any]) -> dict[str, Any]:
    """Metadata as JSON values; dates and the like become text."""
    try:
        text = json.dumps(metadata, allow_nan=False, ensure_ascii=False, default=str)
        text.encode()
    except (ValueError, TypeError, RecursionError) as error:
        raise SourceError(f"{where}: the metadata has no form in JSON ({str(error)[:200]}); correct or remove it") from error
    return mask_settings(json.loads(text))


def _from_list(url: str) -> list[Entry]:
    try:
        data = read_bytes(url)
    except FileNotFoundError:
        raise SourceError(f"source {url}: there is no such list") from None
    try:
        rows = _rows(url, data)
    except (ValueError, OSError, csv.Error, pa.ArrowException, MemoryError) as error:
        raise SourceError(f"source {url}: cannot be read as a list ({str(error)[:200]}); write it anew") from error
    return [_list_entry(url, number, row) for number, row in enumerate(rows, 1)]


def _rows(url: str, data: bytes) -> list[dict[str, Any]]:
    if url.endswith(".parquet"):
        return pq.read_table(io.BytesIO(data)).to_pylist()
    return [dict(row) for row in csv.DictReader(io.StringIO(data.decode("utf-8-sig")))]


def _list_entry(url: str, number: int, row: dict[str, Any]) -> Entry:
    where = f"source {url}: row {number}"
    uri = _list_uri(where, url, row.pop("uri", None))
    path = filesystem(uri)[1]
    about = info(uri) or {"size": 0}
    item = row.pop("item", None) or mask_credentials(path).rsplit("/", 1)[-1].rsplit(".", 1)[0]
    split = str(row.pop("split", None) or "")
    # NaN is how tables of numbers say that a value is missing.
    metadata = {key: value for key, value in row.items() if key and value is not None and value == value}
    return Entry(str(item), uri, int(about["size"] or 0), stamp_of(about), split, _plain(where, metadata))


def _list_uri(where: str, url: str, uri: Any) -> str:
    """Where a row's file lies. What a list says is not trusted: it must not reach local files outside its own folder."""
    if not uri:
        raise SourceError(f"{where} has no `uri`; the list needs a column of that name")
    if not isinstance(uri, str) or CONTROL.search(uri) or "\\" in uri or "::" in uri or len(uri) > MOST_URI_LETTERS:
        raise SourceError(f"{where}: uri {str(uri)[:80]!r} must be a path or URL without backslashes, '::' or control characters")
    scheme = uri.partition(":")[0] if urlsplit(uri).scheme else ""
    folder = url.rsplit("/", 1)[0] if "/" in url else "."
    if not scheme and not uri.startswith("/"):
        if ".." in uri.split("/"):
            raise SourceError(f"{where}: uri {uri!r} leads out of the list's folder {folder}; move the list to a folder above it")
        uri = join(folder, uri)
    elif scheme and scheme not in (*REMOTE, "file", urlsplit(url).scheme):
        raise SourceError(f"{where}: uri {uri[:80]!r} is of a kind that lists may not use; known: file, {', '.join(REMOTE)}")
    if is_local(uri):
        _check_local_file(where, url, uri, folder)
    return uri


def _check_local_file(where: str, url: str, uri: str, folder: str) -> None:
    """A local file that a list may name: its name is possible, the list is local too, and the file lies below its folder."""
    path = filesystem(uri)[1]
    if any(len(part.encode()) > MOST_NAME_BYTES for part in path.split("/")):
        raise SourceError(f"{where}: uri {uri[:80]!r} is longer than file systems allow; correct it")
    if not is_local(url):
        raise SourceError(f"{where}: uri {uri!r} is a local file, which a remote list may not name; download the list")
    refuse_outside(where, path, filesystem(folder)[1])
