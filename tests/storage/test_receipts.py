"""A block exists when its receipt does, and damage is found file by file."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from storage.arrays import BlockWriter
from storage.receipts import (
    ItemRow,
    Receipt,
    block_url,
    blocks_with_receipts,
    damage,
    digest_files,
    drop_receipt,
    read_receipt,
    write_receipt,
)


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
