"""A panorama before it is read, and what a source may not hold: two of one name, unsafe names, ways out of its folder."""

from __future__ import annotations

import json
import os
import re
import shlex
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote

import pyarrow as pa

from storage.columns import Columns
from storage.credentials import mask_credentials
from storage.fingerprint import digest
from storage.names import unsafe_name
from storage.urls import filesystem

WAYS_OUT = {
    "/blobs/": "for a download of the hub: `hf download --local-dir FOLDER` writes files instead of links",
    "/annex/objects/": "for git-annex: `git annex unlock` turns links into files",
    "/.dvc/": "for DVC: `dvc config cache.type copy && dvc checkout --relink` turns links into files",
}
"""Part of the path that a link leads to -> whose it is, and how it becomes a file."""
SNAPSHOT = re.compile(r"(.*)/snapshots/[^/]+(/.*)?")
"""A folder of the hub's cache; the files lie beside it, in ``blobs``, and belong to the same download."""
MOST_LETTERS = 180
"""Of the coded name of a file whose own cannot be an item's."""


class SourceError(ValueError):
    """The source cannot be listed; the message says what to change."""

    def __init__(self, message: str) -> None:
        super().__init__(mask_credentials(message))


@dataclass(frozen=True, slots=True)
class Entry:
    """A panorama before it is read. ``stamp`` changes when the file does, and is empty where nothing tells.

    ``problem`` says what is wrong with what the source says of it; ingest then quarantines it unread.
    """

    item: str
    uri: str
    size: int
    stamp: str
    split: str = ""
    metadata: dict[str, Any] = field(default_factory=dict)
    problem: str = ""


SCHEMA = pa.schema(
    [
        ("item", pa.string()),
        ("uri", pa.string()),
        ("size", pa.int64()),
        ("stamp", pa.string()),
        ("split", pa.string()),
        ("metadata", pa.string()),
        ("problem", pa.string()),
    ]
)


class Entries(Columns[Entry]):
    """Entries in columns."""

    @classmethod
    def made_of(cls, entries: Iterable[Entry]) -> Entries:
        """Entries in columns, whatever they were in."""
        return cls.of(Entry, SCHEMA, entries)


@dataclass(frozen=True)
class Found:
    """The panoramas of a source, and what else its user should know of it, as sentences."""

    entries: Entries
    notes: tuple[str, ...] = ()


def with_safe_name(entry: Entry) -> Entry:
    """The entry as it is, or, where its file's name cannot be an item's, under a name that stands for it, with the problem."""
    if not (why := unsafe_name(entry.item)):
        return entry
    coded = quote(entry.item, safe="", errors="backslashreplace")
    short = coded if len(coded) <= MOST_LETTERS else f"{coded[:MOST_LETTERS]}-{digest(coded)[:12]}"
    letters = (one if one.isprintable() else one.encode("unicode_escape", "backslashreplace").decode() for one in entry.uri)
    problem = f"the name {entry.item[:80]!r} {why}; rename the file, or give it an id in a list"
    return replace(entry, item=short, uri="".join(letters), problem=problem)


def in_order(url: str, entries: Iterable[Entry]) -> Entries:
    """The entries sorted by item; SourceError if two have one name, or a name is not safe as part of a path."""
    found = Entries.made_of(entries if isinstance(entries, Entries) else _safe(url, entries)).in_order("item")
    names = found.names
    for row, name in enumerate(names):
        _refuse_unsafe(url, name)
        if row and name == names[row - 1]:
            both = f"{found[row - 1].uri} and {found[row].uri}"
            raise SourceError(f"source {url}: {both} would both be item {name!r}; rename one, or give ids in a list")
    return found


def _safe(url: str, entries: Iterable[Entry]) -> Iterator[Entry]:
    for entry in entries:
        _refuse_unsafe(url, entry.item)
        yield entry


def _refuse_unsafe(url: str, name: str) -> None:
    if problem := unsafe_name(name):
        raise SourceError(f"source {url}: item name {name[:80]!r} {problem}; rename the file, or give ids in a list")


def without_clashes(url: str, entries: Iterable[Entry]) -> Found:
    """The entries sorted by item; of those that :func:`in_order` would refuse, the first of each name, and a note."""
    seen: dict[str, Entry] = {}
    refused: dict[str, str] = {}
    for entry in entries:
        try:
            in_order(url, [*filter(None, [seen.get(entry.item)]), entry])
            seen[entry.item] = entry
        except SourceError as error:
            refused[entry.uri] = str(error)
    told = (f"{len(refused)} files would stop a run; the first: {next(iter(refused.values()))}",) if refused else ()
    return Found(Entries.made_of(seen[item] for item in sorted(seen)), told)


def refuse_outside(where: str, path: str, folder: str, allow: Sequence[str] = ()) -> None:
    """Raise SourceError if a local path leads out of a folder, through ``..`` or links, or to what is no regular file.

    Parameters
    ----------
    where : str
        Start of the message.
    path, folder : str
    allow : folders outside, to which it may lead too
    """
    real, root = os.path.realpath(path), os.path.realpath(folder)
    snapshot = SNAPSHOT.fullmatch(root)
    own = [f"{snapshot[1]}/blobs"] if snapshot else []
    roots = [root, *own, *(os.path.realpath(filesystem(one)[1]) for one in allow)]
    if not any(os.path.commonpath([real, one]) == one for one in roots):
        holder = os.path.dirname(real)
        holder = holder if re.fullmatch(r"[\w./-]+", holder) else json.dumps(holder)
        ways = [f"{how}; " for part, how in WAYS_OUT.items() if part in real]
        raise SourceError(
            f"{where}: {path!r} leads out of {root} to {real}; {''.join(ways)}if that place is meant, allow it: "
            f"--set {shlex.quote(f'source.allow=[{holder}]')}, or `allow: [{holder}]` under `source:` in the config"
        )
    if os.path.exists(real) and not os.path.isfile(real):
        raise SourceError(f"{where}: {path!r} is a folder, pipe or device, not a file; remove it")
