"""The panoramas that a list names. What a list says is not trusted: it must not reach local files that its user did not mean."""

from __future__ import annotations

import errno
import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from storage.addresses import ARCHIVES, CACHES
from storage.credentials import mask_credentials
from storage.retries import StoreError
from storage.urls import filesystem, info, is_local, join, read_bytes
from tasks.ingest.entries import Entries, Entry, Found, SourceError, refuse_outside
from tasks.ingest.metadata import NUMBERS, BadMetadata, Understood, is_missing, text_of, understand
from tasks.ingest.stamps import stamp_of
from tasks.ingest.tables import NOT_READ, READ, BadTable, Row, read_table

REMOTE = ("s3", "gs", "gcs", "az", "abfs", "abfss", "hf", "http", "https")
"""Kinds of URLs that a list may name, besides its own. fsspec knows many more, some of which open local files by other names."""
COLUMNS = ("uri", "item", "split", *NUMBERS)
"""Columns that mean something, whatever their case."""
CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
MOST_URI_LETTERS = 4096
MOST_NAME_BYTES = 255
ASKED_AT_ONCE = 16


def is_list(url: str) -> bool:
    """Whether a source is a list, by the end of its name; SourceError where it is a table of a kind that is not read.

    A folder is none, whatever its name ends in.
    """
    if not url.lower().endswith((*READ, *NOT_READ)) or _is_folder(url):
        return False
    if url.lower().endswith(NOT_READ):
        raise SourceError(f"source {url}: lists of this kind are not read; save it as one of {', '.join(READ)}")
    return url.lower().endswith(READ)


def _is_folder(url: str) -> bool:
    if is_local(url):
        return os.path.isdir(filesystem(url)[1])
    about = info(url)
    return about is not None and about["type"] == "directory"


def look_at_list(url: str, allow: Sequence[str] = ()) -> Found:
    """The panoramas of a list, in its order.

    Raises
    ------
    SourceError
        There is no list, it is malformed, or it names what it may not.
    """
    try:
        data = read_bytes(url)
    except (FileNotFoundError, NotADirectoryError):
        raise SourceError(f"source {url}: there is no such list; correct the path, or mount the disk that holds it") from None
    except (IsADirectoryError, PermissionError) as error:
        raise SourceError(f"source {url}: cannot be read ({error.strerror}); a list is a file that this user may read") from error
    try:
        table = read_table(url, data, COLUMNS)
    except BadTable as error:
        raise SourceError(f"source {url}: {error}") from error
    if not table.rows:
        raise SourceError(
            f"source {url}: no panoramas found: the list has no rows; it needs a column uri and a row for each file"
        )
    uris = [_uri(f"source {url}: {row.where}", url, row.values.get("uri"), allow) for row in table.rows]
    own = ("uri", "item")
    understood = [understand({name: value for name, value in row.values.items() if name not in own}) for row in table.rows]
    with ThreadPoolExecutor(ASKED_AT_ONCE) as pool:
        abouts = pool.map(_asked, uris) if not all(map(is_local, uris)) else map(_asked, uris)
        rows = zip(table.rows, understood, uris, abouts, strict=True)
        entries = [_entry(url, row, said, uri, about) for row, said, uri, about in rows]
    return Found(Entries.made_of(entries), (*table.notes, *_left_out(table.rows, understood)))


def _entry(url: str, row: Row, said: Understood, uri: str, about: dict[str, Any] | str | None) -> Entry:
    where = f"source {url}: {row.where}"
    try:
        item = text_of("item", row.values.get("item"))
    except BadMetadata as error:
        raise SourceError(f"{where}: {error}") from error
    item = item or mask_credentials(filesystem(uri)[1]).rsplit("/", 1)[-1].rsplit(".", 1)[0]
    if said.problem:
        problem = f"{row.where}: {said.problem}"
    elif isinstance(about, str):
        problem = about
    else:
        problem = "there is no such file" if about is None else ""
    known = about if isinstance(about, dict) else {}
    return Entry(item, uri, int(known.get("size") or 0), stamp_of(known), said.split, said.metadata, problem)


def _asked(uri: str) -> dict[str, Any] | str | None:
    """What is known of a file; None if it is not there, and why where its server refuses to say, which costs its row alone."""
    try:
        return info(uri)
    except StoreError as error:
        if error.errno != errno.EINVAL:
            raise
        return str(error)


def _left_out(rows: Sequence[Row], understood: Sequence[Understood]) -> Iterator[str]:
    """A sentence for each column of which values cannot be understood."""
    found = [(key, row, why) for row, said in zip(rows, understood, strict=True) for key, why in said.left_out.items()]
    for key, count in Counter(key for key, _, _ in found).items():
        row, why = next((row, why) for one, row, why in found if one == key)
        yield f"{count} values of {key!r} are left out, the first in {row.where}: {why}"


def _uri(where: str, url: str, uri: Any, allow: Sequence[str]) -> str:
    """Where a row's file lies: a path as it is, whatever its characters, or a URL of a kind that lists may use."""
    if is_missing(uri):
        raise SourceError(f"{where} has no `uri`; write the file's path there, or remove the row")
    if not isinstance(uri, str) or CONTROL.search(uri) or "\\" in uri or len(uri) > MOST_URI_LETTERS:
        raise SourceError(
            f"{where}: uri {str(uri)[:80]!r} must be a path or URL with / between folders, without control characters"
        )
    folder = _folder_of(url)
    if uri != uri.strip() and not _is_name(url, folder, uri):
        uri = uri.strip()  # blanks beside a separator
    scheme = SCHEME.match(uri)
    if scheme and not _is_name(url, folder, uri):
        kind = scheme[1].lower()
        known = (*REMOTE, "file", filesystem(url)[0].protocol if not is_local(url) else "file")
        if ("://" not in uri and kind != "file") or kind in (*ARCHIVES, *CACHES) or kind not in _flat(known):
            raise SourceError(f"{where}: uri {uri[:80]!r} is of a kind that lists may not use; known: file, {', '.join(REMOTE)}")
    elif not uri.startswith("/"):
        if ".." in uri.split("/") and not is_local(url):
            raise SourceError(f"{where}: uri {uri!r} leads out of the list's folder {folder}; write the whole URL")
        uri = join(folder, uri)
    if is_local(uri):
        _check_local_file(where, url, uri, folder, allow)
        path = filesystem(uri)[1]
        return os.path.realpath(path) if ".." in path.split("/") else path
    return uri


def _flat(kinds: Sequence[Any]) -> list[str]:
    return [one for kind in kinds for one in ([kind] if isinstance(kind, str) else kind)]


def _folder_of(url: str) -> str:
    """The folder of a list. That of a local one is absolute, so that a row is never taken for a URL once it is joined."""
    place = filesystem(url)[1] if is_local(url) else url
    return place.rsplit("/", 1)[0] or "/" if "/" in place else "."


def _is_name(url: str, folder: str, uri: str) -> bool:
    """Whether a local file beside a local list has this very name, though it looks like a URL."""
    return is_local(url) and "://" not in uri and os.path.lexists(os.path.join(folder, uri))


def _check_local_file(where: str, url: str, uri: str, folder: str, allow: Sequence[str]) -> None:
    """A local file that a list may name: its name is possible, the list is local too, and the file lies where it may."""
    path = filesystem(uri)[1]
    if any(len(part.encode()) > MOST_NAME_BYTES for part in path.split("/")):
        raise SourceError(f"{where}: uri {uri[:80]!r} is longer than file systems allow; correct it")
    if not is_local(url):
        raise SourceError(f"{where}: uri {uri!r} is a local file, which a remote list may not name; download the list")
    refuse_outside(where, path, filesystem(folder)[1], allow)
