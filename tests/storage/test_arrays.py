"""Blocks stream, whole shard by whole shard, and writing twice gives the same bytes."""

import tracemalloc
from pathlib import Path
from shutil import rmtree
from threading import Event, Thread

import numpy as np
import pytest
import zarr

from storage import arrays
from storage.arrays import BlockReader, BlockWriter
from storage.entries import entry_of
from storage.receipts import digest_files
from storage.urls import remove_empty_folders, write_bytes


def items(count: int, height: int = 40, seed: int = 0) -> list[dict[str, np.ndarray]]:
    generator = np.random.default_rng(seed)
    return [
        {
            "depth": generator.random((height, 2 * height)).astype(np.float16),
            "normals": generator.integers(-127, 127, (height, 2 * height, 3)).astype(np.int8),
            "valid": generator.random((height, 2 * height)) > 0.5,
            "fov": generator.random(5),
        }
        for _ in range(count)
    ]


def write(url: str, some: list) -> None:
    writer = BlockWriter(url, len(some))
    for one in some:
        writer.append(one)
    writer.close()


@pytest.mark.parametrize("url", ["{path}", "memory://arrays-test"])
@pytest.mark.parametrize("count", [1, 5, 33])
def test_what_is_written_is_read(tmp_path: Path, url: str, count: int) -> None:
    url = url.format(path=tmp_path) + f"/{count}"
    some = items(count)
    write(url, some)
    reader = BlockReader(url)
    for slot, one in enumerate(some):
        read = reader.item(slot)
        assert read.keys() == one.keys()
        for name in one:
            np.testing.assert_array_equal(read[name], one[name])
            assert read[name].dtype == one[name].dtype


def test_large_items_are_tiled_and_come_back(tmp_path: Path) -> None:
    some = items(2, height=600)
    write(str(tmp_path), some)
    np.testing.assert_array_equal(BlockReader(str(tmp_path)).item(1)["normals"], some[1]["normals"])


def test_channels_are_compressed_apart_but_for_pictures(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    one = {name: generator.integers(0, 9, (40, 80, 3)).astype(np.uint8) for name in ("normals", "pixels")}
    wide = {"scores": generator.random((40, 80, 9)), "views": generator.random((5, 40, 80, 3))}
    write(str(tmp_path), [one | wide])
    group = zarr.open_group(tmp_path / "data.zarr", mode="r")
    chunks = {name: group[name].chunks for name in group}
    assert chunks == {
        "normals": (1, 40, 80, 1), "pixels": (1, 40, 80, 3), "scores": (1, 40, 80, 9), "views": (1, 5, 40, 80, 1)
    }  # fmt: skip
    for name, array in (one | wide).items():
        np.testing.assert_array_equal(BlockReader(str(tmp_path)).item(0)[name], array)


def test_writing_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    some = items(6)
    write(str(tmp_path / "a"), some)
    write(str(tmp_path / "b"), some)
    first = digest_files(str(tmp_path / "a"))
    assert first == digest_files(str(tmp_path / "b"))
    write(str(tmp_path / "a"), some)
    assert first == digest_files(str(tmp_path / "a"))
    assert len(first) > 4


def test_items_given_up_are_zero_wherever_they_stand(tmp_path: Path) -> None:
    some = items(6)
    write(str(tmp_path), [None, None, some[2], None, some[4], None])
    reader = BlockReader(str(tmp_path))
    for slot in (0, 1, 3, 5):
        assert not any(values.any() for values in reader.item(slot).values())
    for slot in (2, 4):
        np.testing.assert_array_equal(reader.item(slot)["depth"], some[slot]["depth"])


def test_items_of_one_block_must_agree(tmp_path: Path) -> None:
    writer = BlockWriter(str(tmp_path), 2)
    writer.append({"depth": np.zeros((4, 8), np.float32)})
    with pytest.raises(ValueError, match=r"array 'depth'.*float32\(4, 9\).*first had float32\(4, 8\)"):
        writer.append({"depth": np.zeros((4, 9), np.float32)})


def test_closing_early_is_an_error(tmp_path: Path) -> None:
    writer = BlockWriter(str(tmp_path), 2)
    writer.append({"depth": np.zeros((4, 8), np.float32)})
    with pytest.raises(ValueError, match="1 of 2 items"):
        writer.close()


def test_memory_does_not_grow_with_the_block(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrays, "SHARD_BYTES", 1 << 20)
    one = {"depth": np.random.default_rng(0).random((256, 512)).astype(np.float32)}

    def peak(count: int) -> int:
        tracemalloc.start()
        writer = BlockWriter(str(tmp_path / str(count)), count)
        for _ in range(count):
            writer.append({"depth": one["depth"].copy()})
        writer.close()
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    peak(2)
    assert peak(48) < 1.5 * peak(8)


def test_a_table_of_no_rows_comes_back(tmp_path: Path) -> None:
    arrays = {"shares": np.empty((0, 4), np.float32), "depth": np.ones((2, 3), np.float32)}
    writer = BlockWriter(str(tmp_path), 2)
    for _ in range(2):
        writer.append(arrays)
    writer.close()
    read = BlockReader(str(tmp_path), writer.written).item(1)
    assert {name: (one.shape, one.dtype) for name, one in read.items()} == {n: (a.shape, a.dtype) for n, a in arrays.items()}


def test_a_folder_that_is_removed_while_it_is_empty_is_made_again(tmp_path: Path) -> None:
    """As somebody drops what lay there, while somebody else writes it anew."""
    url, some = str(tmp_path / "block"), items(3, height=8)
    write(str(tmp_path / "undisturbed"), some)
    expected = digest_files(str(tmp_path / "undisturbed"))
    over, rounds = Event(), [0]

    def drop() -> None:
        while not over.is_set():
            remove_empty_folders(url, [*expected, "more/file"])
            rounds[0] += 1

    dropper = Thread(target=drop)
    dropper.start()
    try:
        for _ in range(20):
            write(url, some)
            write_bytes(f"{url}/more/file", b"whole")
            assert digest_files(url) == {**expected, "more/file": entry_of(b"whole")}
            rmtree(url, ignore_errors=True)
    finally:
        over.set()
        dropper.join()
    assert rounds[0] > 20
