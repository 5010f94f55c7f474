"""Where a data set keeps its panoramas and their truth: as files below a root, or as cells of Parquet files."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import pyarrow.parquet as pq

from storage.addresses import url_at
from storage.cells import DamagedParquet, cell_url, parquet_errors, split_cell
from storage.retries import persist
from storage.urls import filesystem, info, is_local, join, read_bytes
from tasks.ingest.absent import listing_errors, refuse_missing
from tasks.ingest.entries import Entry, SourceError, refuse_outside
from tasks.ingest.leftovers import is_left, is_left_folder
from tasks.ingest.stamps import stamp_of

Files = Mapping[str, Mapping[str, Any]]
"""Path below the root -> what fsspec says of the file; nothing where that is cheap to ask when it is wanted."""
Splits = Mapping[str, str]
"""What a data set's own lists say: scene or item -> split."""


@dataclass(frozen=True)
class Listing:
    """The panoramas of a root or of one of its splits, and for every file of truth how many of all those ``found`` lack it."""

    entries: Sequence[Entry]
    lacking: Counter[str]
    found: int


class Layout(Protocol):
    """Where things are.

    ``example`` is a path below the root as error messages show it, ``pattern`` matches the whole of such a path; ``split_files``
    names the lists of the splits, where there are any.
    """

    @property
    def example(self) -> str: ...

    @property
    def pattern(self) -> re.Pattern[str]: ...

    @property
    def split_files(self) -> str: ...

    def listing(self, root: str, files: Files, allow: Sequence[str] = ()) -> Listing:
        """All panoramas among the files below a root; empty if there are none. Links may lead to the folders ``allow`` too. Reads
        no image."""

    def truth(self, root: str, uri: str) -> dict[str, str]:
        """Name -> URL of every file of truth of the panorama at ``uri``, whether it is there or not."""


def no_split(_match: re.Match[str], _splits: Splits) -> str:
    """Split of a panorama where the data set has none."""
    return ""


def split_in_path(match: re.Match[str], _splits: Splits) -> str:
    """Split of a panorama whose path names it, in the group ``split`` of the layout's pattern."""
    return match["split"]


@dataclass(frozen=True)
class FileLayout:
    """Panoramas and truth are files.

    ``pattern`` matches the whole path of a panorama below the root; ``item`` and the values of ``places`` are templates that its
    named groups fill. A place that starts with ``/`` is the same for all panoramas, below the root. ``split_files`` such as
    ``scenes_<split>.txt`` lie directly below the root, and their lines name scenes or items.
    """

    example: str
    pattern: re.Pattern[str]
    item: str
    places: Mapping[str, str]
    split: Callable[[re.Match[str], Splits], str] = no_split
    split_files: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)

    def listing(self, root: str, files: Files, allow: Sequence[str] = ()) -> Listing:
        """See :class:`Layout`."""
        splits = self._splits(root, files)
        entries, lacking = [], Counter(dict.fromkeys(self.places, 0))
        for path, about in files.items():
            if match := self.pattern.fullmatch(path):
                uri, size, stamp = _look_at(root, path, about, allow)
                split = self.split(match, splits)
                entries.append(Entry(match.expand(self.item), uri, size, stamp, split, dict(self.metadata)))
                lacking.update(name for name, place in self.places.items() if _fill(match, place) not in files)
        return Listing(entries, lacking, len(entries))

    def truth(self, root: str, uri: str) -> dict[str, str]:
        """See :class:`Layout`."""
        base = filesystem(root)[1].rstrip("/") + "/"
        match = self.pattern.fullmatch(filesystem(uri)[1].removeprefix(base))
        if match is None:
            raise SourceError(f"{uri}: is no panorama of {root}, whose panoramas are like {self.example}")
        return {name: join(root, _fill(match, place)) for name, place in self.places.items()}

    def _splits(self, root: str, files: Files) -> Splits:
        if not self.split_files:
            return {}
        named = re.compile(re.escape(self.split_files).replace("<split>", r"(?P<split>\w+)"))
        lists = [(path, match["split"]) for path in files if (match := named.fullmatch(path))]
        return {name: split for path, split in lists for name in read_bytes(join(root, path)).decode(errors="replace").split()}


@dataclass(frozen=True)
class ParquetLayout:
    """Panoramas and truth are cells of Parquet files, one row for each panorama.

    ``pattern`` matches the whole path of a Parquet file below the root; its group ``split`` is the split. ``item`` is a template
    that the groups fill, and ``{row}``: the row's value in the column ``name``, or its number where that is None. ``columns``
    name the truth.
    """

    example: str
    pattern: re.Pattern[str]
    item: str
    image: str
    columns: Mapping[str, str]
    name: str | None = None
    split_files: str = ""

    def listing(self, root: str, files: Files, allow: Sequence[str] = ()) -> Listing:
        """See :class:`Layout`; reads the column of names, and no other."""
        entries, lacking = [], Counter(dict.fromkeys(self.columns, 0))
        for path, about in files.items():
            if match := self.pattern.fullmatch(path):
                uri, size, stamp = _look_at(root, path, about, allow)
                names, columns = self._names(uri)
                for row, name in enumerate(names):
                    item, cell = match.expand(self.item).replace("{row}", name), cell_url(uri, row, self.image)
                    entries.append(Entry(item, cell, size // len(names), stamp, match["split"]))
                lacking.update({key: len(names) for key, column in self.columns.items() if column not in columns})
        return Listing(entries, lacking, len(entries))

    def truth(self, root: str, uri: str) -> dict[str, str]:
        """See :class:`Layout`."""
        parquet, row, _ = split_cell(uri)
        return {name: cell_url(parquet, row, column) for name, column in self.columns.items()}

    def _names(self, uri: str) -> tuple[list[str], list[str]]:
        """Names of the rows of a Parquet file, and of its columns."""
        files, path = filesystem(uri)

        def read() -> tuple[list[str], list[str]]:
            with files.open(path, "rb") as handle, parquet_errors(uri):
                file = pq.ParquetFile(handle)
                columns = file.schema_arrow.names
                if self.name in columns:
                    return [str(value) for value in file.read(columns=[self.name]).column(0).to_pylist()], columns
                return [f"{row:05d}" for row in range(file.metadata.num_rows)], columns

        try:
            names, columns = persist(uri, read)
        except DamagedParquet as error:
            raise SourceError(str(error)) from error
        if self.image not in columns:
            raise SourceError(f"{uri}: has the columns {', '.join(columns)}, and none is {self.image!r}, the panorama")
        return names, columns


def files_below(root: str) -> Files:
    """What lies below a root, in order of path, but for what systems and tools leave. Folders that are links are not entered.

    Raises
    ------
    SourceError
        The root is no folder, or one in it cannot be listed.
    """
    files, path = filesystem(root)
    base = path.rstrip("/") + "/"
    if is_local(root):  # half a million files are walked in seconds, and asked for their sizes in half a minute
        if os.path.isfile(path):
            raise SourceError(f"source {root}: is a file, and a data set is a folder; correct root")
        if not os.path.isdir(path):
            refuse_missing(root, path)
        return {name: {} for name in sorted(_walked(root, path, base)) if not is_left(name)}
    files.invalidate_cache()
    found = persist(root, files.find, path, detail=True)
    below = ((name.removeprefix(base), about) for name, about in sorted(found.items()) if name.startswith(base))
    return {name: about for name, about in below if not is_left(name)}


def _walked(root: str, path: str, base: str) -> Iterator[str]:
    for folder, folders, names in os.walk(path, onerror=listing_errors(root)):
        folders[:] = [name for name in folders if not is_left_folder(name)]
        yield from (f"{folder}/{name}".removeprefix(base) for name in names)


def _look_at(root: str, path: str, about: Mapping[str, Any], allow: Sequence[str]) -> tuple[str, int, str]:
    """URL, size and stamp of a file below a root. A link must not lead out of it, as in any other source."""
    base = filesystem(root)[1]
    full = f"{base.rstrip('/')}/{path}"
    about = about or info(full) or {"size": 0, "type": "file"}  # gone: ingest will say so
    if is_local(root) and (about["type"] != "file" or about.get("islink")):
        refuse_outside(f"source {root}", full, base, allow)
    return url_at(root)(full), int(about["size"] or 0), stamp_of(dict(about))


def _fill(match: re.Match[str], place: str) -> str:
    return place.removeprefix("/") if place.startswith("/") else match.expand(place)
