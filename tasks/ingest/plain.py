"""Plain local files as entries, column by column: there may be millions, and little is to be said of each."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

import pyarrow as pa

from storage.columns import AT_ONCE
from storage.names import PLAIN
from tasks.ingest.entries import SCHEMA, Entries, Entry


def plain_entries(base: str, names: Sequence[str]) -> tuple[Entries, list[str]]:
    """Entries of files below a folder, and the files of which more must be said: odd names, and those that are gone.

    Parameters
    ----------
    base : str
        The folder, with ``/`` at its end.
    names : whole paths of regular files without sidecars
    """
    left: list[str] = []
    parts = [names[start : start + AT_ONCE] for start in range(0, len(names), AT_ONCE)]
    tables = [SCHEMA.empty_table(), *(_table(base, part, left) for part in parts)]
    return Entries(Entry, pa.concat_tables(tables)), left


def _table(base: str, names: Sequence[str], left: list[str]) -> pa.Table:
    told = [*_told(base, names, left)]
    items, uris, sizes, stamps = zip(*told, strict=True) if told else ((), (), (), ())
    nothing, nobody = pa.array([""] * len(told), pa.string()), pa.array(["{}"] * len(told), pa.string())
    columns = [
        pa.array(items, pa.string()),
        pa.array(uris, pa.string()),
        pa.array(sizes, pa.int64()),
        pa.array(stamps, pa.string()),
    ]
    return pa.Table.from_arrays([*columns, nothing, nobody, nothing], schema=SCHEMA)


def _told(base: str, names: Sequence[str], left: list[str]) -> Iterator[tuple[str, str, int, str]]:
    for name in names:
        item = name[len(base) :].rpartition(".")[0]
        if not PLAIN.fullmatch(item):
            left.append(name)
            continue
        try:
            about = os.stat(name)
        except OSError:
            left.append(name)
            continue
        yield item, name, about.st_size, str(about.st_mtime_ns)
