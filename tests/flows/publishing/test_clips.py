"""Clips exported, and read back by loaders that are written after what docs/video.md says of each layout."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import webdataset
import yaml
from numpy.typing import NDArray

from configs.pipeline import Config
from configs.settings import ConfigError
from flows.plan import make_plan
from flows.publishing.clip_files import How
from flows.publishing.export import export
from flows.stores.finished import NotFinished
from storage.arrays import BlockReader
from tasks.ingest.videos.check import is_said_spherical
from tasks.label.fuse import decode_labels
from tasks.pipeline import load
from tests.support.pipelines import make_all
from tests.support.shots import Shot, pictures, write_config, write_shots

SHOTS: dict[str, list[Shot]] = {"a": [("turning", 14.0, 0)], "deep/b": [("turning", 6.0, 1)]}
SECONDS = {"seconds": 7.0, "least": 5.0}


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Config:
    folder = tmp_path_factory.mktemp("clips")
    for name, shots in SHOTS.items():
        write_shots(folder / "videos" / f"{name}.mkv", shots)
    config = load(write_config(folder, cut=SECONDS, register={"val": 0.5}))
    make_all(config)
    return config


def filmed(name: str) -> list[NDArray[np.uint8]]:
    return pictures(SHOTS[name])


def decoded(data: bytes | Path) -> tuple[list[float], list[NDArray[np.uint8]], bool]:
    """Seconds and pictures of an MP4, and whether it says that it lies on a sphere."""
    with av.open(io.BytesIO(data) if isinstance(data, bytes) else str(data)) as file:
        frames = list(file.decode(video=0))
        assert file.streams.video[0].codec_context.name == "h264"
        return (
            [float(one.time or 0) for one in frames],
            [one.to_ndarray(format="rgb24") for one in frames],
            is_said_spherical(frames[0]),
        )


def near(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> bool:
    return float(np.abs(one.astype(int) - other).mean()) < 6  # colours of half the size, in small pictures


def read_webdataset(folder: Path, split: str) -> Iterator[dict[str, Any]]:
    for shard in sorted(folder.glob(f"{split}-*.tar")):
        yield from webdataset.WebDataset(str(shard), shardshuffle=False)


def test_webdataset(config: Config, tmp_path: Path) -> None:
    index = export(config, "webdataset", str(tmp_path), stage="register")
    assert index["clips"] == 3
    samples = [sample for shard in index["shards"] for sample in read_webdataset(tmp_path, shard["split"])]
    found = {json.loads(sample["json"])["item"]: sample for sample in samples}
    assert set(found) == {"a/0000000", "a/0007000", "deep/b/0000000"}
    sample, told = found["a/0007000"], json.loads(found["a/0007000"]["json"])
    assert (told["video"], told["n_frames"], told["fps"], told["start_ns"]) == ("a", 70, 10.0, 7_000_000_000)
    times, shown, spherical = decoded(sample["mp4"])
    np.testing.assert_allclose(times, [number / 10 for number in range(70)], atol=1e-4)
    assert spherical
    assert all(near(one, other) for one, other in zip(shown, filmed("a")[70:], strict=True))
    arrays = np.load(io.BytesIO(sample["npz"]))
    assert arrays["frames_ns"].tolist() == [7_000_000_000 + 100_000_000 * number for number in range(70)]
    assert arrays["time_ns"].tolist() == [1_000_000_000 * second for second in range(7, 14)]
    stored = labels_of(config, "a/0007000/0003000")
    for name, value in stored.items():
        np.testing.assert_array_equal(arrays[name][3], value)
    again = export(config, "webdataset", str(tmp_path), stage="register")
    assert again["shards"] == index["shards"], "the same clips give the same bytes"


def labels_of(config: Config, item: str) -> dict[str, NDArray]:
    plan = make_plan(config)
    step = plan.step("fuse")
    for block, receipt in plan.receipts.of(step):
        for slot, row in enumerate(receipt.items):
            if row.item == item:
                return BlockReader(step.stage.block_url(block.name), receipt.files).item(slot)
    raise AssertionError(item)


class CosmosVideos:
    """As Cosmos's own loader: every MP4 in ``videos``, of which it takes so many frames from a place that it draws."""

    def __init__(self, folder: Path, frames: int = 93) -> None:
        self.paths, self.frames = sorted((folder / "videos").glob("*.mp4")), frames

    def __getitem__(self, number: int) -> tuple[list[NDArray[np.uint8]], float]:
        with av.open(str(self.paths[number])) as file:
            rate = float(file.streams.video[0].average_rate or 0)
            frames = [one.to_ndarray(format="rgb24") for one in file.decode(video=0)]
        start = int(np.random.default_rng(0).integers(0, len(frames) - self.frames))  # of an empty range it raises
        return frames[start : start + self.frames], rate


def test_cosmos(config: Config, tmp_path: Path) -> None:
    index = export(config, "cosmos", str(tmp_path))
    assert index["left_out"] == {}
    read = CosmosVideos(tmp_path)
    assert [path.name for path in read.paths] == ["a__0000000.mp4", "a__0007000.mp4", "deep__b__0000000.mp4"]
    assert [(len(read[number][0]), read[number][1]) for number in range(3)] == [(93, 16.0)] * 3
    names = [row["video_basename"] for split in ("train", "val") for row in csv.DictReader((tmp_path / f"{split}.csv").open())]
    assert sorted(names) == [path.stem for path in read.paths]
    times, shown, _ = decoded(read.paths[1])
    assert len(times) == 112
    for number in (0, 1, 5, 50, 111):
        assert near(shown[number], filmed("a")[70 + int(number * 10 / 16 + 1e-6)]), "what is shown at that time"


def test_captions_lie_where_the_loaders_look(config: Config, tmp_path: Path) -> None:
    """Cosmos's loader takes the first model's texts of ``captions/<name>.json``."""
    said = {"kind": "tests.support.captioners:load", "views": {"width": 16, "height": 16, "times": 1}}
    order = [{"ingest": None}, {"cut": None}, {"frames": None}, {"caption": said}, {"register": {}}]
    path = Path(config.root).parent / "captioned.yaml"
    own = yaml.safe_load((path.parent / "videos.yaml").read_text())
    own["stages"] = [{key: said or own["stages"][key]} for one in order for key, said in one.items()]
    path.write_text(yaml.safe_dump(own, sort_keys=False))
    make_all(load(path))
    export(load(path), "cosmos", str(tmp_path / "cosmos"))
    for video in CosmosVideos(tmp_path / "cosmos").paths:
        texts = next(iter(json.loads((tmp_path / f"cosmos/captions/{video.stem}.json").read_text()).values()))
        assert set(texts) == {"short", "medium", "long"}
    index = export(load(path), "webdataset", str(tmp_path / "shards"), stage="register", clips=How(pictures=False))
    samples = [sample for shard in index["shards"] for sample in read_webdataset(tmp_path / "shards", shard["split"])]
    assert all(json.loads(sample["json"])["captions"]["short"] for sample in samples)


def test_cosmos_says_why_a_clip_is_too_short(config: Config, tmp_path: Path) -> None:
    shorter = load(Path(config.root).parent / "videos.yaml", {"cut.seconds": 5.0, "cut.least": 4.5})
    make_all(shorter)
    index = export(shorter, "cosmos", str(tmp_path / "none"))
    assert set(index["left_out"].values()) == {"80 frames at 16 a second, and the loader needs 94: cut clips of 6 s"}
    assert len(index["left_out"]) == 3
    assert not (tmp_path / "none/videos").exists()


def read_panoworld(folder: Path) -> Iterator[tuple[dict[str, str], NDArray, NDArray, dict[str, Any]]]:
    """Each row of master.csv with its depth in metres, where that is valid, and meta.json; paths are relative to the folder."""
    with (folder / "master.csv").open() as file:
        for row in csv.DictReader(file):
            own = folder / row["annotation_dir"]
            depth = np.stack([np.load(path) for path in sorted((own / "depth").glob("*.npy"))])
            yield row, depth * 100, np.load(own / "valid.npy"), json.loads((own / "meta.json").read_text())


def test_panoworld(config: Config, tmp_path: Path) -> None:
    index = export(config, "panoworld", str(tmp_path), clips=How(height=16))
    assert index["left_out"] == {}
    found = {row["clip_id"]: (row, *rest) for row, *rest in read_panoworld(tmp_path)}
    row, depth, valid, meta = found["a/0007000"]
    assert (row["has_depth"], row["fps"], row["n_frames"], row["resolution"]) == ("1", "10.0", "70", "32x16")
    assert depth.shape == valid.shape == (7, 32, 64)
    assert depth.dtype == np.float32
    assert meta["n_frames"] == 7
    assert meta["video_resolution"] == [32, 16]
    labels = decode_labels(labels_of(config, "a/0007000/0003000"))
    np.testing.assert_allclose(depth[3][labels["depth_valid"]], labels["depth"][labels["depth_valid"]], rtol=1e-5)
    np.testing.assert_array_equal(valid[3], labels["depth_valid"])
    _, shown, _ = decoded(tmp_path / row["video_path"])
    assert shown[0].shape == (16, 32, 3)
    before = {path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file()}
    export(config, "panoworld", str(tmp_path), clips=How(pictures=False))
    after = {path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file()}
    assert before - after == {Path("videos") / f"{name}.mp4" for name in ("a__0000000", "a__0007000", "deep__b__0000000")}
    assert all(row["video_path"] == "" for row, *_ in read_panoworld(tmp_path))


def test_without_pictures_there_are_names_times_and_labels(config: Config, tmp_path: Path) -> None:
    index = export(config, "webdataset", str(tmp_path), stage="register", clips=How(pictures=False))
    samples = [sample for shard in index["shards"] for sample in read_webdataset(tmp_path, shard["split"])]
    assert all({"json", "npz"} == {name for name in sample if not name.startswith("__")} for sample in samples)
    assert {json.loads(sample["json"])["video"] for sample in samples} == {"a", "deep/b"}


def test_what_is_meant_must_be_clear(config: Config, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="clips or panoramas"):
        export(config, "webdataset", str(tmp_path))
    with pytest.raises(ConfigError, match="registers no clips"):
        export(config, "cosmos", str(tmp_path), stage="fuse")
    with pytest.raises(ConfigError, match="are for clips"):
        export(config, "files", str(tmp_path), clips=How(pictures=False))
    with pytest.raises(ConfigError, match="even number"):
        How(height=15)
    (tmp_path / "index.json").write_text('{"shards": []}')
    with pytest.raises(ConfigError, match="no list of an earlier export"):
        export(config, "cosmos", str(tmp_path))


def test_unfinished_and_changed_clips_are_refused(tmp_path: Path) -> None:
    write_shots(tmp_path / "videos/a.mkv", [("turning", 7.0, 0)])
    config = load(write_config(tmp_path, cut=SECONDS, register={}, without=("frames", "project", "geometry", "fuse")))
    with pytest.raises(NotFinished, match="not registered yet"):
        export(config, "cosmos", str(tmp_path / "out"))
    make_all(config)
    assert export(config, "webdataset", str(tmp_path / "out"))["clips"] == 1
    stamp = (tmp_path / "videos/a.mkv").stat()
    write_shots(tmp_path / "other.mkv", [("turning", 7.0, 3)])
    data = (tmp_path / "other.mkv").read_bytes()
    (tmp_path / "videos/a.mkv").write_bytes((data + bytes(stamp.st_size))[: max(stamp.st_size, len(data))])
    with pytest.raises(NotFinished):
        export(config, "cosmos", str(tmp_path / "out2"))
