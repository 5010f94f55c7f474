"""Truth files are arrays: one that holds a pickle, or is damaged, sets its item aside and runs nothing."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest

from storage.items import Item
from tasks.evaluate.evaluate import read_truth
from tasks.stage.job import BadItem
from tests.support.pipelines import load, write_pipeline
from tests.support.stages import source_of

ITEM = Item("p00", "p00.png", "0", 48, 96, 1, "1")


class Payload:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple:
        return Path.touch, (self.mark,)


def saved(**arrays: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


def read(folder: Path, raw: bytes) -> dict[str, np.ndarray]:
    stage = source_of(load(write_pipeline(folder, 1), source__truth=str(folder / "scenes")))
    (folder / "scenes" / "truth").mkdir(parents=True)
    (folder / "scenes" / "truth" / "p00.npz").write_bytes(raw)
    return read_truth(stage.settings.source, ITEM)[0]


def test_a_pickle_in_a_truth_file_is_not_run(tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    raw = saved(depth=np.array([Payload(mark)], dtype=object))
    with pytest.raises(BadItem, match="the truth cannot be read"):
        read(tmp_path, raw)
    assert not mark.exists()
    np.load(io.BytesIO(raw), allow_pickle=True)["depth"]
    assert mark.exists(), "the payload works where it is let"


DEPTH = np.arange(2048, dtype=np.float32).reshape(32, 64)
SOUND = saved(depth=DEPTH)
DAMAGED = {
    "cut": SOUND[:-40],
    "header only": SOUND[:40],
    "flipped": SOUND[:200] + bytes([SOUND[200] ^ 255]) + SOUND[201:],
    "empty": b"",
    "no array": b"PK\x03\x04 nothing",
    "one array, not a file of them": b"\x93NUMPY\x01\x00",
    "flat": saved(depth=DEPTH.ravel()),
    "text": saved(semantics=DEPTH.astype(str)),
    "normals without an axis": saved(normals=DEPTH),
    "depth with one": saved(depth=DEPTH[..., None]),
    "of two sizes": saved(depth=DEPTH, sky=DEPTH[:16, :32] > 0),
    "without a pixel": saved(depth=DEPTH[:0]),
    "nothing that is known": saved(poses=DEPTH),
}


def test_a_sound_truth_file_is_read(tmp_path: Path) -> None:
    newer = saved(depth=DEPTH, depth_valid=DEPTH > 0, of_a_newer_version=np.arange(3))
    read_back = read(tmp_path, newer)
    assert sorted(read_back) == ["depth", "depth_valid"]
    np.testing.assert_array_equal(read_back["depth"], DEPTH)
    assert zipfile.is_zipfile(io.BytesIO(SOUND))


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_truth_file_sets_its_item_aside(name: str, tmp_path: Path) -> None:
    with pytest.raises(BadItem, match="the truth cannot be read"):
        read(tmp_path, DAMAGED[name])
