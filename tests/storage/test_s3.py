"""The same store on an object store: a real S3 protocol server over HTTP on this machine."""

from collections.abc import Iterator

import numpy as np
import pytest

from storage.arrays import BlockReader, BlockWriter
from storage.receipts import Receipt, block_url, blocks_with_receipts, damage, digest_files, read_receipt, write_receipt
from storage.rows import ItemRow
from storage.urls import children, exists, read_bytes, remove, write_bytes
from tasks.ingest.sources import list_source
from tests.support.object_store import s3_bucket


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    with s3_bucket("panoramas") as url:
        yield url


def test_a_block_lives_on_an_object_store(bucket: str) -> None:
    url = block_url(f"{bucket}/store", "fuse", "f" * 16, "000000-abc")
    depth = [np.random.default_rng(seed).random((40, 80)).astype(np.float16) for seed in range(3)]
    writer = BlockWriter(url, 3)
    for one in depth:
        writer.append({"depth": one})
    writer.close()
    made = {"run": "r", "seconds": 1.0, "device": "cpu", "versions": {"torch": "2"}}
    receipt = Receipt("fuse", "f" * 16, "000000-abc", (ItemRow("a", "done"),), digest_files(url), {}, made)
    assert blocks_with_receipts(f"{bucket}/store", "fuse", "f" * 16) == []
    write_receipt(url, receipt)
    assert blocks_with_receipts(f"{bucket}/store", "fuse", "f" * 16) == ["000000-abc"]
    assert read_receipt(url) == receipt
    assert damage(url, receipt) == []
    np.testing.assert_array_equal(BlockReader(url).item(2)["depth"], depth[2])


def test_small_files_and_listings(bucket: str) -> None:
    write_bytes(f"{bucket}/set/a.png", b"one")
    write_bytes(f"{bucket}/set/deep/b.jpg", b"three")
    write_bytes(f"{bucket}/set/notes.txt", b"x")
    assert read_bytes(f"{bucket}/set/deep/b.jpg") == b"three"
    assert children(f"{bucket}/set") == ["a.png", "deep", "notes.txt"]
    entries = list_source(f"{bucket}/set")
    assert [(entry.item, entry.uri, entry.size) for entry in entries] == [
        ("a", "s3://panoramas/set/a.png", 3),
        ("deep/b", "s3://panoramas/set/deep/b.jpg", 5),
    ]
    assert all(entry.stamp for entry in entries)
    remove(f"{bucket}/set/a.png")
    assert not exists(f"{bucket}/set/a.png")
