"""Several Parquet tables written side by side, row by row: memory holds a few thousand rows, however many there are."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from storage.urls import children, exists, filesystem, join, read_bytes, remove, write_bytes

CURRENT = "current.json"
ROWS = 8192


def write_tables(url: str, stamp: str, schemas: Mapping[str, pa.Schema], rows: Iterable[tuple[str, Mapping[str, Any]]]) -> None:
    """Write tables below ``<url>/<stamp>``, then make them the current ones, then remove those before.

    Parameters
    ----------
    url : folder of the tables
    stamp : name of this edition; says what it was made from
    schemas : table -> its columns
    rows : (table, row) pairs in any order
    """
    with tempfile.TemporaryDirectory() as folder, ExitStack() as open_files:
        writers = {
            name: open_files.enter_context(pq.ParquetWriter(Path(folder, name), schema, compression="zstd"))
            for name, schema in schemas.items()
        }
        waiting: dict[str, list[Mapping[str, Any]]] = {name: [] for name in schemas}
        for name, row in rows:
            waiting[name].append(row)
            if len(waiting[name]) == ROWS:
                writers[name].write_table(pa.Table.from_pylist(waiting[name], schemas[name]))
                waiting[name].clear()
        for name, rest in waiting.items():
            writers[name].write_table(pa.Table.from_pylist(rest, schemas[name]))
        open_files.close()
        for name in schemas:
            _upload(Path(folder, name), join(url, stamp, f"{name}.parquet"))
    write_bytes(join(url, CURRENT), json.dumps({"stamp": stamp, "tables": sorted(schemas)}).encode())
    for name in children(url):
        if name not in (CURRENT, stamp):
            for file in children(join(url, name)):
                remove(join(url, name, file))


def current_stamp(url: str) -> str | None:
    """The stamp of the current edition, or None."""
    if not exists(join(url, CURRENT)):
        return None
    try:
        return str(json.loads(read_bytes(join(url, CURRENT)))["stamp"])
    except (ValueError, KeyError, TypeError):
        return None


def fetch_tables(url: str, stamp: str, names: Iterable[str], folder: Path) -> dict[str, Path]:
    """Copy tables of an edition into a local folder; table -> its file."""
    fetched = {}
    for name in names:
        files, path = filesystem(join(url, stamp, f"{name}.parquet"))
        fetched[name] = folder / f"{name}.parquet"
        files.get_file(path, str(fetched[name]))
    return fetched


def _upload(file: Path, url: str) -> None:
    """Nobody reads the edition before it is the current one, so this needs no rename."""
    files, path = filesystem(url)
    files.makedirs(path.rpartition("/")[0], exist_ok=True)
    files.put_file(str(file), path)
