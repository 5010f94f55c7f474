"""A store of frames of clips that are cut from videos: what a plan says before and after, and what a run makes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from configs.pipeline import Config
from configs.settings import ConfigError
from flows.plan import make_plan
from flows.plan_words import plan_words
from flows.stores.items import quarantined_items
from flows.stores.lineage import trace_item
from storage.receipts import read_receipt, withdraw
from tasks.pipeline import load, plain_stages
from tests.support.pipelines import run_pipeline
from tests.support.prefect_runs import blocks_made
from tests.support.shots import Shot, write_config, write_shots

pytestmark = pytest.mark.usefixtures("prefect_api")

VIDEOS: dict[str, list[Shot]] = {
    "a": [("turning", 10.0, 0), ("turning", 5.0, 1)],
    "b": [("turning", 5.0, 2), ("still", 5.0, 3)],
}
STAGES = ("cut", "frames", "project", "geometry", "fuse")


def write_videos(folder: Path) -> None:
    for name, shots in VIDEOS.items():
        write_shots(folder / "videos" / f"{name}.mkv", shots)


def told(config: Config) -> dict[str, tuple[str, str]]:
    """By stage, what a plan's table says of its items, and the last line of its reasons."""
    return {row["stage"]: (row["items"], row["why"].split("\n")[-1]) for row in plan_words(make_plan(config))}


def names(config: Config, key: str = "fuse") -> list[str]:
    plan = make_plan(config)
    return [row.item for _, receipt in plan.receipts.of(plan.step(key)) for row in receipt.items]


def ran(record: dict[str, Any]) -> dict[str, int]:
    found = {row["stage"]: row["ran"] for row in record["stages"] if row["ran"]}
    assert blocks_made(record["run"]) == found
    return found


@pytest.fixture
def config(tmp_path: Path) -> Config:
    write_videos(tmp_path)
    return load(write_config(tmp_path))


def test_a_plan_counts_before_and_after_and_a_second_run_does_nothing(config: Config, tmp_path: Path) -> None:
    assert told(config)["cut"] == ("2", "new items: 2 in 2 blocks"), "nothing is read yet, so no length is known"
    record = run_pipeline(config)
    assert ran(record) == dict.fromkeys(STAGES, 2)
    assert names(config) == [
        *(f"a/{start:07d}/{time:07d}" for start in (0, 5000, 10000) for time in range(0, 5000, 1000)),
        *(f"b/0000000/{time:07d}" for time in range(0, 5000, 1000)),
    ]
    assert {row["stage"]: row["items"] for row in record["stages"]}["fuse"] == 20
    after = told(config)
    assert after["cut"] == ("0", "gives 4 clips")
    assert after["frames"] == ("0", "nothing changed")
    assert not make_plan(config).anything_to_run
    assert ran(run_pipeline(config)) == {}

    again = load(write_config(tmp_path, frames={"height": 32, "sampling": {"kind": "rate", "hertz": 2}}))
    assert told(again)["frames"][0] == "40"
    write_shots(tmp_path / "videos" / "c.mkv", [("turning", 12.0, 4)])
    assert told(config)["cut"][0] == "1"
    assert ran(run_pipeline(config)) == dict.fromkeys(STAGES, 1)
    assert [name for name in names(config) if name.startswith("c/")] == [
        f"c/{start:07d}/{time:07d}" for start in (0, 5000) for time in range(0, 5000, 1000)
    ]


def test_foreseen_counts_are_told_as_such(config: Config, tmp_path: Path) -> None:
    """Of what is read: once the manifest is there and nothing is cut, lengths alone say how many there will be."""
    make_plan(config)
    cut_later = load(write_config(tmp_path, cut={"seconds": 5.0, "least": 4.0}))
    run_pipeline(config)
    before = told(cut_later)
    assert before["cut"] == ("2", "gives about 5 clips")
    assert before["frames"][0] == "about 25"
    assert before["fuse"][0] == "about 25"


def test_another_setting_that_cuts_alike_makes_nothing_behind_it(config: Config, tmp_path: Path) -> None:
    run_pipeline(config)
    alike = load(write_config(tmp_path, cut={"flash_seconds": 0.2}))
    record = run_pipeline(alike)
    rows = {row["stage"]: (row["ran"], row["adopted"]) for row in record["stages"]}
    assert rows == {"cut": (2, 0), **dict.fromkeys(STAGES[1:], (0, 2))}
    shorter = load(write_config(tmp_path, cut={"seconds": 2.5, "least": 2.0}))
    assert ran(run_pipeline(shorter)) == dict.fromkeys(STAGES, 2)
    assert len([name for name in names(shorter) if name.endswith("/0000000")]) == 8


def test_a_cut_that_is_gone_is_made_again_and_frames_of_it_stand(config: Config) -> None:
    run_pipeline(config)
    step = make_plan(config).step("cut")
    url = step.stage.block_url(step.blocks[0].name)
    receipt = read_receipt(url)
    assert receipt is not None
    withdraw(url, receipt)
    plan = make_plan(config)
    assert {key: len(blocks) for key, blocks in plan.owed.items() if blocks} == {"cut": 1}
    assert ran(run_pipeline(config)) == {"cut": 1}
    assert not make_plan(config).anything_to_run


def test_a_video_without_clips_is_set_aside_by_cut_alone(tmp_path: Path) -> None:
    write_videos(tmp_path)
    write_shots(tmp_path / "videos" / "dull.mkv", [("still", 8.0, 3)])
    config = load(write_config(tmp_path, block_size=3))
    record = run_pipeline(config)
    assert [(one["item"], one["stage"]) for one in record["quarantined"]] == [("dull", "cut")]
    assert "static picture, 8.0 s" in record["quarantined"][0]["reason"]
    assert quarantined_items(make_plan(config)) == record["quarantined"]
    assert len(names(config)) == 21
    assert record["found"]["cut"] == {
        "videos": 2,
        "shots": 4,
        "clips": 4,
        "left_out_seconds": {"static picture": 5.0},
    }


def test_a_frame_is_traced_to_its_video(config: Config) -> None:
    run_pipeline(config)
    traced = trace_item(config, "a/0005000/0002000")
    assert traced["source"]["metadata"] == {
        "video": "a",
        "start_ns": 5_000_000_000,
        "end_ns": 10_000_000_000,
        "shot": 0,
        "clip": "a/0005000",
        "time_ns": 7_000_000_000,
    }
    assert [step["key"] for step in traced["steps"]] == [*STAGES]
    assert all(step["state"] == "done" for step in traced["steps"])


def test_cut_and_uncut_stand_side_by_side(tmp_path: Path) -> None:
    write_videos(tmp_path)
    config = load(write_config(tmp_path, whole={"stage": "frames", "clips": "ingest", "height": 32}))
    stages = {stage.key: stage for stage in plain_stages(config)}
    assert [one.key for one in stages["frames"].stages("clips")] == ["cut"]
    assert [one.key for one in stages["whole"].stages("clips")] == ["ingest"]
    with pytest.raises(ConfigError, match="cuts whole videos, not the clips of cut; write clips: ingest"):
        load(write_config(tmp_path, more={"stage": "cut"}))
    with pytest.raises(ConfigError, match=r"stages\.cut\.keep"):
        load(write_config(tmp_path, cut={"keep": "until_read"}))
