"""register: true values under PanoWorld's names, and splits that no other video moves."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from configs.settings import ConfigError
from flows.plan import make_plan
from storage.items import Item
from storage.receipts import read_receipt
from storage.urls import join, read_bytes
from tasks.ingest.videos.clip import CLIP
from tasks.pipeline import load
from tasks.video.clip_table import SCHEMA, clip_row, file_name, group_of, master_csv, split_of
from tasks.video.register import MASTER, TABLE
from tasks.video.settings import Register
from tests.support.pipelines import make_all
from tests.support.shots import write_config, write_shots

PANOWORLD = [
    *("clip_id", "split", "video_path", "annotation_dir", "caption_path", "n_frames", "fps", "resolution", "is_static"),
    *("has_depth", "has_tracks", "has_camera_poses", "depth_kind", "pose_kind", "trajectory_kind", "scene_id"),
]


def test_no_new_video_moves_an_old_one() -> None:
    generator = np.random.default_rng(0)
    videos = [f"video {number}" for number in generator.permutation(400)]
    before = {name: split_of(name, 0.05) for name in videos}
    for inserted in range(50):
        videos.insert(int(generator.integers(len(videos))), f"new {inserted}")
        assert before.items() <= {name: split_of(name, 0.05) for name in videos}.items()
    share = sum(split == "val" for split in before.values()) / len(before)
    assert 0.02 < share < 0.09
    assert {split_of(name, 0.0) for name in videos} == {"train"}
    assert {split_of(name, 1.0) for name in videos} == {"val"}


def test_more_validation_keeps_what_was_validation() -> None:
    names = [f"video {number}" for number in range(300)]
    few, more = ({name for name in names if split_of(name, val) == "val"} for val in (0.05, 0.2))
    assert few < more


def test_groups() -> None:
    video = Item("tour/day1/a", "a.mp4", "d", 32, 64, 0, "", metadata={"camera": "x1"})
    assert group_of(video, "video") == "tour/day1/a"
    assert group_of(video, "folder") == "tour/day1"
    assert group_of(video, "camera") == "x1"
    assert group_of(video, "place") == "tour/day1/a", "what a video does not say is no group of its own kind"
    assert group_of(replace(video, item="a"), "folder") == "a"


def test_names_of_files_are_different() -> None:
    clips = ["a/0000000", "a/b/0000000", "a__b/0000000", "a/b__c/0000000", "a__b/c/0000000"]
    assert len({file_name(one) for one in clips}) == len(clips)
    assert file_name("a/0000000") == "a__0000000"


def test_the_table_has_true_values(tmp_path: Path) -> None:
    write_shots(tmp_path / "videos/a.mkv", [("turning", 10.0, 0)])
    write_shots(tmp_path / "videos/deep/b.mkv", [("turning", 4.8, 1)], rate=12)
    (tmp_path / "videos/a.json").write_text('{"licence": "CC-BY-4.0", "scene_id": "hall"}')
    config = load(write_config(tmp_path, register={}))
    make_all(config)
    step = make_plan(config).step("register")
    url = step.stage.block_url(step.blocks[0].name)
    table = pq.read_table(io.BytesIO(read_bytes(join(url, TABLE))))
    assert table.schema.names[:16] == PANOWORLD == SCHEMA.names[:16]
    rows = table.to_pylist()
    assert [row["clip_id"] for row in rows] == ["a/0000000", "a/0005000", "deep/b/0000000"]
    first, _, last = rows
    assert (first["n_frames"], first["fps"], first["resolution"]) == (50, 10.0, "64x32")
    assert last["n_frames"] == 58
    assert last["fps"] == pytest.approx(12, abs=0.01)
    assert (first["video_path"], first["annotation_dir"]) == ("videos/a__0000000.mp4", "annotations/a__0000000")
    assert (first["has_depth"], first["depth_kind"], first["labelled_frames"]) == (True, "panolabel_estimated", 5)
    assert first["is_static"] is None, "nobody has looked yet"
    assert (first["licence"], first["scene_id"], last["licence"]) == ("CC-BY-4.0", "hall", None)
    assert (rows[1]["start_ns"], rows[1]["end_ns"]) == (5_000_000_000, 10_000_000_000)
    assert first["frames_ns"] == [number * 100_000_000 for number in range(50)]
    assert rows[0]["video_digest"] == rows[1]["video_digest"] != rows[0]["digest"] != rows[1]["digest"]
    assert {row["split"] for row in rows} <= {"train", "val"}
    said = list(csv.DictReader(io.StringIO(read_bytes(join(url, MASTER)).decode())))
    assert [*said[0]] == PANOWORLD
    assert (said[0]["n_frames"], said[0]["fps"], said[0]["has_depth"], said[0]["is_static"]) == ("50", "10.0", "1", "")
    receipt = read_receipt(url)
    assert receipt is not None
    assert receipt.items[0].figures["clips"] == 3
    assert not make_plan(config).anything_to_run


def test_whole_files_are_registered_where_nothing_cuts_them(tmp_path: Path) -> None:
    write_shots(tmp_path / "videos/a.mkv", [("turning", 3.0, 0)])
    config = load(write_config(tmp_path, without=("cut",), register={"labels": "fuse", "val": 1.0}))
    make_all(config)
    step = make_plan(config).step("register")
    (row,) = pq.read_table(io.BytesIO(read_bytes(join(step.stage.block_url(step.blocks[0].name), TABLE)))).to_pylist()
    assert (row["clip_id"], row["split"], row["n_frames"], row["labelled_frames"]) == ("a", "val", 30, 3)
    assert (row["start_ns"], row["end_ns"], row["digest"]) == (0, 3_000_000_000, row["video_digest"])


def test_labels_of_other_videos_are_refused(tmp_path: Path) -> None:
    write_shots(tmp_path / "videos/a.mkv", [("turning", 5.0, 0)])
    other = {"stage": "ingest", "source": {"kind": "videos", "url": str(tmp_path / "others")}}
    with pytest.raises(ConfigError, match="fuse labels ingest, not other; name labels of these videos"):
        load(write_config(tmp_path, other=other, register={"clips": "other"}))


def test_rows_as_csv() -> None:
    clip = {CLIP: {"ticks": [0, [1, 3]], "keys": [0], "time_base": [1, 4], "codec": "x", "rotation": 0, "stereo": "none"}}
    item = Item("a", "a.mp4", "d", 32, 64, 0, "", figures=clip, split="test")
    row = clip_row(item, item, Register(licence="own"), 0)
    assert (row["split"], row["fps"], row["end_ns"], row["licence"]) == ("test", 4.0, 1_000_000_000, "own")
    assert master_csv([row]).decode().splitlines()[1] == "a,test,videos/a.mp4,,,4,4.0,64x32,,0,0,0,,,,"
