"""A block exists when its receipt does, and damage is found file by file."""

import pickle
import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np

from storage.arrays import BlockWriter
from storage.receipts import (
    Receipt,
    block_url,
    blocks_with_receipts,
    damage,
    digest_files,
    drop_receipt,
    read_receipt,
    write_receipt,
)
from storage.rows import ItemRow, Rows


def make_block(root: str) -> tuple[str, Receipt]:
    url = block_url(root, "fuse", "f" * 16, "000000-abc")
    writer = BlockWriter(url, 1)
    writer.append({"depth": np.arange(64, dtype=np.float32).reshape(8, 8)})
    writer.close()
    rows = (ItemRow("a", "done", "", {"valid": 0.5}),)
    made = {"run": "r", "seconds": 1.0, "device": "cpu", "versions": {"torch": "2"}, "process": 7}
    receipt = Receipt("fuse", "f" * 16, "000000-abc", rows, digest_files(url), {"classes": ["sky"]}, made)
    return url, receipt


def test_a_block_exists_when_its_receipt_does(tmp_path: Path) -> None:
    url, receipt = make_block(str(tmp_path))
    assert blocks_with_receipts(str(tmp_path), "fuse", "f" * 16) == []
    assert read_receipt(url) is None
    write_receipt(url, receipt)
    assert blocks_with_receipts(str(tmp_path), "fuse", "f" * 16) == ["000000-abc"]
    assert read_receipt(url) == receipt
    drop_receipt(url)
    drop_receipt(url)
    assert read_receipt(url) is None


def test_a_torn_receipt_counts_as_none(tmp_path: Path) -> None:
    url, receipt = make_block(str(tmp_path))
    write_receipt(url, receipt)
    file = Path(url) / "receipt.json"
    file.write_bytes(file.read_bytes()[:40])
    assert read_receipt(url) is None


def test_a_receipt_of_another_block_counts_as_none(tmp_path: Path) -> None:
    url, receipt = make_block(str(tmp_path))
    for other in (
        replace(receipt, block="000001-abc"),
        replace(receipt, stage="project"),
        replace(receipt, fingerprint="0" * 16),
    ):
        write_receipt(url, other)
        assert read_receipt(url) is None
    write_receipt(url, receipt)
    assert read_receipt(url) == receipt


def test_every_kind_of_damage_is_found(tmp_path: Path) -> None:
    url, receipt = make_block(str(tmp_path))
    assert damage(url, receipt) == []
    chunk = next(path for path in Path(url).rglob("*") if path.is_file() and "c" in path.relative_to(url).parts)
    sound = chunk.read_bytes()
    chunk.write_bytes(sound[:-1] + bytes([sound[-1] ^ 1]))
    assert ["bytes differ" in problem for problem in damage(url, receipt)] == [True]
    chunk.unlink()
    assert ["is missing" in problem for problem in damage(url, receipt)] == [True]


def rows_of(url: str, rows: list[ItemRow]) -> Rows:
    receipt = replace(make_block(url)[1], items=rows)
    write_receipt(block_url(url, "fuse", "f" * 16, "000000-abc"), receipt)
    read = read_receipt(block_url(url, "fuse", "f" * 16, "000000-abc"))
    assert read is not None
    assert isinstance(read.items, Rows)
    return read.items


def test_rows_that_are_read_are_those_that_were_written(tmp_path: Path) -> None:
    written = [ItemRow(f"{row}", "done", "", {"valid": row / 7}, "d", "", "k") for row in range(40)]
    written[3] = ItemRow("3", "quarantined", "too dark", {}, "", "label")
    rows = rows_of(str(tmp_path), written)
    assert rows == written
    assert written == rows
    assert rows != written[:-1]
    assert rows != [*written[:-1], written[0]]
    assert [*rows] == [rows[place] for place in range(40)] == written
    assert rows[2:5] == tuple(written[2:5])
    assert pickle.loads(pickle.dumps(rows)) == written
    assert repr(rows) == repr(tuple(written))


def test_rows_that_nobody_asks_for_take_a_fraction_of_the_memory(tmp_path: Path) -> None:
    figures = {f"figure_{number}": number / 7 for number in range(20)}
    rows = rows_of(str(tmp_path), [ItemRow(f"{row}", "done", "", {**figures, "own": row / 3}, "d" * 32) for row in range(512)])
    tracemalloc.start()
    packed = pickle.loads(pickle.dumps(rows))
    alone = tracemalloc.get_traced_memory()[0]
    objects = [*packed]
    asked = tracemalloc.get_traced_memory()[0] - alone
    tracemalloc.stop()
    assert len(objects) == 512
    assert alone < asked / 10
