"""A cell of a Parquet file is a file: the same bytes, from a disk and from another store, and nothing where nothing is."""

from __future__ import annotations

import io
from pathlib import Path

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from storage.cells import cell_url, split_cell
from storage.urls import exists, filesystem, info, is_local, read_bytes

ROWS = [{"image": {"bytes": bytes([row]) * (row + 1), "path": None}, "raw": b"raw %d" % row, "id": str(row)} for row in range(7)]


@pytest.fixture
def parquet(tmp_path: Path) -> str:
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.Table.from_pylist([*ROWS, {"image": None, "raw": None, "id": "7"}]), path, row_group_size=3)
    return str(path)


def test_every_row_of_every_group(parquet: str) -> None:
    for row, values in enumerate(ROWS):
        assert read_bytes(cell_url(parquet, row, "image")) == values["image"]["bytes"]
        assert read_bytes(cell_url(parquet, row, "raw")) == values["raw"]
    about = info(cell_url(parquet, 4, "image"))
    assert about is not None
    assert (about["size"], about["type"]) == (5, "file")
    assert not is_local(cell_url(parquet, 4, "image"))


@pytest.mark.parametrize(("row", "column"), [(8, "raw"), (-1, "raw"), (7, "raw"), (7, "image"), (0, "no such"), (0, "id")])
def test_what_is_no_cell_with_bytes_is_not_there(parquet: str, row: int, column: str) -> None:
    assert not exists(cell_url(parquet, row, column))
    with pytest.raises(FileNotFoundError):
        read_bytes(cell_url(parquet, row, column))


def test_a_parquet_file_that_is_gone_is_not_there(parquet: str) -> None:
    url = cell_url(parquet, 1, "raw")
    assert exists(url)
    Path(parquet).unlink()
    assert not exists(url)


def test_cells_of_another_store_and_as_a_stream(parquet: str) -> None:
    store = fsspec.filesystem("memory")
    store.pipe_file("/cells/rows.parquet", Path(parquet).read_bytes())
    url = cell_url("memory://cells/rows.parquet", 5, "image")
    assert split_cell(url) == ("memory://cells/rows.parquet", 5, "image")
    files, path = filesystem(url)
    with files.open(path, "rb") as stream:
        assert io.BytesIO(stream.read()).getvalue() == ROWS[5]["image"]["bytes"]
    with pytest.raises(io.UnsupportedOperation, match="read-only"):
        files.open(path, "wb")
    store.rm("/cells", recursive=True)
