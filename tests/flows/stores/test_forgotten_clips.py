"""A forgotten clip: the labels of all its frames go, from blocks and published versions."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from benchmarks.runs.direct import carry_out
from flows.publishing.publish import publish
from flows.stores.forgetting import forget
from storage.published import open_published
from tests.tasks.video.test_frames import pipeline, write_clip


def frames_with_labels(root: Path) -> set[str]:
    receipts = [json.loads(file.read_text()) for file in (root / "stages").rglob("receipt.json")]
    return {row["item"] for one in receipts for row in one["items"] if row["state"] == "done"}


def test_its_frames_go_from_all_blocks_and_versions(tmp_path: Path) -> None:
    for seed, name in enumerate(("walk", "ride")):
        write_clip(tmp_path / f"clips/{name}.mkv", seed, 4)
    config = pipeline(tmp_path, block_size=2, sampling={"kind": "rate", "hertz": 5})
    carry_out(config)
    before = frames_with_labels(tmp_path / "store")
    assert {one.partition("/")[0] for one in before} == {"walk", "ride"}
    publish(config)
    folder = str(tmp_path / "store/published/clips")
    whole = open_published(folder)["depth"][:]
    found = forget(config, ["walk"], "asked to")
    assert found["blocks"] == 6, "frames, views, two teachers, fusion and evaluation"
    assert not any(one.startswith("walk") for one in frames_with_labels(tmp_path / "store"))
    group = open_published(folder)
    of_walk = np.array([str(item).startswith("walk/") for item in group["item"][:]])
    assert group["valid"][:].tolist() == (~of_walk).tolist()
    assert not group["depth"][:][of_walk].any()
    np.testing.assert_array_equal(group["depth"][:][~of_walk], whole[~of_walk])
    carry_out(config)
    assert frames_with_labels(tmp_path / "store") == {one for one in before if one.startswith("ride")}
