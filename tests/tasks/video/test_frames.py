"""frames: a block of clips becomes a block of panoramas, by name before anything is decoded, and pixel by pixel after."""

from __future__ import annotations

import shutil
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from configs.pipeline import Config
from flows.plan import make_plan
from flows.stores.lineage import trace_item
from flows.trying.tried import golden
from scenes.clips import write_video
from storage.receipts import Receipt
from tasks.ingest import ingest
from tasks.ingest.check import check
from tasks.ingest.panorama import load_panorama
from tasks.ingest.videos.clip import Clip
from tasks.pipeline import load
from tasks.stage.job import BadItem, Job
from tasks.stage.kind import Step
from tasks.video.frame_block import choose_frames
from tasks.video.settings import Drawn, Rate, Times
from tests.support.stages import ingested, source_of, stage_of, steps_of

TENTHS = Clip(tuple(range(0, 2000, 100)), (0, 500, 1000, 1500), Fraction(1, 1000), "ffv1")


def panorama(seed: int, height: int = 32) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, 2 * height, 3)).astype(np.uint8)


def write_clip(path: Path, seed: int, count: int = 20) -> list[np.ndarray]:
    pictures = [panorama(100 * seed + number) for number in range(count)]
    path.parent.mkdir(parents=True, exist_ok=True)
    write_video(path, pictures, [100 * number for number in range(count)])
    return pictures


def pipeline(folder: Path, block_size: int = 1, **frames: Any) -> Config:
    (folder / "teacher.json").write_text('{"factor": 2.0}')
    teacher = {"kind": "tests.support.brightness:load", "settings": {"weights": str(folder / "teacher.json")}}
    data = {
        "name": "clips",
        "root": str(folder / "store"),
        "stages": {
            "ingest": {
                "source": {"kind": "videos", "url": str(folder / "clips")},
                "block_size": block_size,
                "most_seam": 99,
                "most_poles": 99,
                "most_halves": 1,
                "least_corners": 0,
            },
            "frames": {"height": 32, **frames},
            "project": {"patch_size": 24, "layout": {"kind": "cubemap", "fov_degrees": 100}},
            "geometry": {"stage": "label", "fields": ["depth", "normals"], **teacher},
            "classes": {"stage": "label", "fields": ["semantics"], **teacher},
            "fuse": {"height": 32},
            "evaluate": {},
        },
    }
    path = folder / "clips.yaml"
    path.write_text(yaml.safe_dump(data, sort_keys=False))
    return load(path)


def make_all(config: Config) -> dict[str, list[Receipt]]:
    """What a run makes: every owed block of every stage, in order; the receipts by stage."""
    plan = make_plan(config, scans={"ingest": ingest.placed(source_of(config), ingest.scan(source_of(config)), _read(config))})
    made: dict[str, list[Receipt]] = {}
    for step in plan.steps:
        jobs = [Job(step.stage, block, "run", config.execution) for block in plan.owed_blocks(step)]
        made[step.key] = [step.stage.make(job) for job in jobs]
    return made


def _read(config: Config) -> list[Any]:
    source = source_of(config)
    scan = ingest.scan(source)
    before = {item.item: item for item in scan.known}
    read = [check(entry, source.settings, before.get(entry.item)) for entry in scan.to_read]
    return ingest.save(source, scan.known, read)


def frames_step(config: Config) -> Step:
    return next(step for step in steps_of(config, ingested(config)) if step.key == "frames")


def test_frames_by_rate_times_and_draw() -> None:
    assert choose_frames(TENTHS, Rate(hertz=10), "") == list(range(20))
    assert choose_frames(TENTHS, Rate(hertz=4), "") == [0, 2, 5, 7, 10, 12, 15, 17]
    assert choose_frames(TENTHS, Rate(hertz=1000), "") == list(range(20))
    assert choose_frames(TENTHS, Times(kind="times", seconds=(0.35, 0, 1.95, 5)), "") == [0, 3, 19]
    drawn = choose_frames(TENTHS, Drawn(kind="random", count=6, seed=1), "ab" * 32)
    assert drawn == sorted(set(drawn)) == choose_frames(TENTHS, Drawn(kind="random", count=6, seed=1), "ab" * 32)
    others = [("ab", 2), ("cd", 1)]
    assert all(drawn != choose_frames(TENTHS, Drawn(kind="random", count=6, seed=seed), name * 32) for name, seed in others)
    assert choose_frames(TENTHS, Drawn(kind="random", count=99), "") == list(range(20))


def test_pixels_are_those_of_the_clip(tmp_path: Path) -> None:
    pictures = {name: write_clip(tmp_path / "clips" / f"{name}.mkv", seed) for seed, name in enumerate(("a", "b/c"))}
    config = pipeline(tmp_path, block_size=2)
    make_all(config)
    (block,) = frames_step(config).blocks
    assert [item.item for item in block.items][:3] == ["a/0000000", "a/0000200", "a/0000500"]
    assert len(block.items) == 16
    for item in block.items:
        found = load_panorama(item, stage_of(config, "frames").settings)
        number = int(item.item[-7:]) // 100
        np.testing.assert_array_equal(found.pixels, pictures[item.metadata["clip"]][number])
        assert found.observed.all()
        assert item.metadata["time_ns"] == number * 100_000_000


def test_a_block_is_known_before_it_is_made_and_unread_without_a_receipt(tmp_path: Path) -> None:
    write_clip(tmp_path / "clips/a.mkv", 1)
    config = pipeline(tmp_path)
    (block,) = frames_step(config).blocks
    assert len(block.items) == 8
    with pytest.raises(RuntimeError, match="no receipt"):
        load_panorama(block.items[0], stage_of(config, "frames").settings)


def test_everything_behind_works_and_a_second_run_does_nothing(tmp_path: Path) -> None:
    write_clip(tmp_path / "clips/a.mkv", 1)
    write_clip(tmp_path / "clips/b.mkv", 2)
    config = pipeline(tmp_path)
    first = make_all(config)
    assert {key: len(receipts) for key, receipts in first.items()} == dict.fromkeys(first, 2)
    assert [row.item for row in first["fuse"][0].items] == [
        f"a/{time:07d}" for time in (0, 200, 500, 700, 1000, 1200, 1500, 1700)
    ]
    assert all(row.state == "done" for receipts in first.values() for receipt in receipts for row in receipt.items)
    assert not any(make_all(config).values())
    assert not make_plan(config).anything_to_run


def test_a_replaced_clip_is_made_again_alone(tmp_path: Path) -> None:
    write_clip(tmp_path / "clips/a.mkv", 1)
    write_clip(tmp_path / "clips/b.mkv", 2)
    config = pipeline(tmp_path)
    make_all(config)
    write_clip(tmp_path / "clips/b.mkv", 3, count=12)
    again = make_all(config)
    for receipts in again.values():
        assert [{row.item.split("/")[0] for row in receipt.items} for receipt in receipts] == [{"b"}]
    write_clip(tmp_path / "clips/c.mkv", 4)
    more = make_all(config)
    assert {row.item.split("/")[0] for row in more["fuse"][0].items} == {"c"}
    assert all(len(receipts) == 1 for receipts in more.values())


def test_another_rate_makes_frames_anew_and_a_touched_file_nothing(tmp_path: Path) -> None:
    write_clip(tmp_path / "clips/a.mkv", 1)
    make_all(pipeline(tmp_path))
    shutil.copyfile(tmp_path / "clips/a.mkv", tmp_path / "copy")
    shutil.move(tmp_path / "copy", tmp_path / "clips/a.mkv")
    assert not any(make_all(pipeline(tmp_path)).values())
    other = make_all(pipeline(tmp_path, sampling={"kind": "times", "seconds": [0.5]}))
    assert [row.item for row in other["fuse"][0].items] == ["a/0000500"]


def test_a_broken_clip_is_set_aside_and_one_that_breaks_keeps_its_place(tmp_path: Path) -> None:
    write_clip(tmp_path / "clips/a.mkv", 1)
    (tmp_path / "clips/bad.mkv").write_bytes(b"no video" * 50)
    config = pipeline(tmp_path, block_size=4)
    make_all(config)
    items = {item.item: item for item in ingest.recorded(source_of(config)).known}
    assert "cannot be opened" in items["bad"].reason
    assert items["bad"].block == -1
    (tmp_path / "clips/a.mkv").write_bytes(b"no video" * 50)
    receipts = make_all(config)
    (row,) = receipts["fuse"][0].items
    assert (row.item, row.state) == ("a", "quarantined")
    assert "cannot be opened" in row.reason


def test_a_clip_that_changes_between_ingest_and_frames_is_not_taken_for_the_old_one(tmp_path: Path) -> None:
    write_clip(tmp_path / "clips/a.mkv", 1)
    config = pipeline(tmp_path)
    step = frames_step(config)
    write_clip(tmp_path / "clips/a.mkv", 2)
    receipt = step.stage.make(Job(step.stage, step.blocks[0], "run", config.execution))
    assert {row.state for row in receipt.items} == {"quarantined"}
    assert "changed while the run was going" in receipt.items[0].reason


def test_times_beyond_the_end_are_told(tmp_path: Path) -> None:
    write_clip(tmp_path / "clips/a.mkv", 1)
    config = pipeline(tmp_path, sampling={"kind": "times", "seconds": [50.0]})
    step = frames_step(config)
    receipt = step.stage.make(Job(step.stage, step.blocks[0], "run", config.execution))
    assert "the clip ends after 1.90 s" in receipt.items[0].reason


def test_a_frame_is_traced_to_its_clip(tmp_path: Path) -> None:
    write_clip(tmp_path / "clips/a.mkv", 1)
    config = pipeline(tmp_path)
    make_all(config)
    traced = trace_item(config, "a/0000500")
    assert traced["source"]["metadata"] == {"clip": "a", "time_ns": 500_000_000}
    assert [step["key"] for step in traced["steps"]] == ["frames", "project", "geometry", "classes", "fuse", "evaluate"]
    assert all(step["state"] == "done" for step in traced["steps"])


def test_frames_made_again_are_the_same(tmp_path: Path) -> None:
    write_clip(tmp_path / "clips/a.mkv", 1)
    config = pipeline(tmp_path)
    make_all(config)
    found = [golden(config, key, 3, 0) for key in ("frames", "project", "fuse")]
    assert [(one["compared"], one["differ"]) for one in found] == [(3, [])] * 3


def test_an_item_that_was_given_up_has_its_reason(tmp_path: Path) -> None:
    write_clip(tmp_path / "clips/a.mkv", 1)
    config = pipeline(tmp_path)
    (block,) = frames_step(config).blocks
    with pytest.raises(BadItem, match="gone"):
        load_panorama(replace(block.items[0], reason="gone"), stage_of(config, "frames").settings)
