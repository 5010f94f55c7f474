"""Single cells of Parquet files as files of their own: ``cell://<row>/<column>::<URL of the file>``, in fsspec's way of chaining.

Data sets on model hubs keep images as bytes in the rows of Parquet files. With this, such an image has a URL like any other.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
from fsspec.spec import AbstractFileSystem

PROTOCOL = "cell"


class DamagedParquet(ValueError):
    """The bytes of a Parquet file make no sense."""


@contextmanager
def parquet_errors(url: str) -> Iterator[None]:
    """What pyarrow says of damaged bytes becomes a DamagedParquet; what a store says of itself stays as it is."""
    try:
        yield
    except (pa.ArrowException, ValueError, OSError) as error:
        if isinstance(error, OSError) and (type(error) is not OSError or error.errno is not None):
            raise
        raise DamagedParquet(f"{url}: cannot be read as Parquet ({str(error)[:200]}); download it anew") from error


def cell_url(parquet: str, row: int, column: str) -> str:
    """URL of one cell of a Parquet file; rows count from 0 over all row groups."""
    return f"{PROTOCOL}://{row}/{column}::{parquet}"


def split_cell(url: str) -> tuple[str, int, str]:
    """Parquet file, row and column of a URL of :func:`cell_url`."""
    cell, _, parquet = url.partition("::")
    row, _, column = cell.removeprefix(f"{PROTOCOL}://").partition("/")
    return parquet, int(row), column


class ParquetCells(AbstractFileSystem):
    """The cells of one Parquet file. Bytes are given as they are, the hub's images by their bytes.

    A cell is reached by reading its column from the start of its row group: cheap on a local disk; from a store, files with
    small row groups are better.
    """

    protocol = PROTOCOL

    def __init__(self, fo: str, target_protocol: str | None = None, target_options: dict[str, Any] | None = None, **more: Any):
        super().__init__(**more)
        self._path = fo
        self._files = fsspec.filesystem(target_protocol or "file", **(target_options or {}))

    def cat_file(self, path: str, start: int | None = None, end: int | None = None, **more: Any) -> bytes:
        """The bytes of a cell; FileNotFoundError if there is no such row or column, or nothing in it; DamagedParquet."""
        row, _, column = self._strip_protocol(path).partition("/")
        with self._files.open(self._path, "rb") as handle, parquet_errors(self._path):
            value = _read_cell(pq.ParquetFile(handle), int(row), column)
        if isinstance(value, dict):
            value = value.get("bytes")
        if not isinstance(value, bytes):
            raise FileNotFoundError(f"{self._path}: row {row} has no bytes in a column {column!r}")
        return value[start:end]

    def info(self, path: str, **more: Any) -> dict[str, Any]:
        """Name and size of a cell."""
        return {"name": path, "size": len(self.cat_file(path)), "type": "file"}

    def _open(self, path: str, mode: str = "rb", **more: Any) -> io.BytesIO:
        if mode != "rb":
            raise io.UnsupportedOperation("cells of Parquet files are read-only")
        return io.BytesIO(self.cat_file(path))


def _read_cell(file: pq.ParquetFile, row: int, column: str) -> Any:
    """The value of a cell, or None; rows before it are passed one by one, so that memory holds no more than two."""
    if column not in file.schema_arrow.names or row < 0:
        return None
    for group in range(file.num_row_groups):
        rows = file.metadata.row_group(group).num_rows
        if row < rows:
            batches = file.iter_batches(batch_size=1, row_groups=[group], columns=[column])
            for _ in range(row):
                next(batches)
            return next(batches).column(0)[0].as_py()
        row -= rows
    return None
