"""A public data set from root to figures: recognised, planned, labelled and evaluated; a perfect teacher is at the floor."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from configs.pipeline import Config
from flows.plan import make_plan
from flows.setup.init import look_at, write_config
from flows.setup.needs import check_source
from flows.stores.lineage import trace_item
from storage.items import Item
from tasks.evaluate import evaluate
from tasks.migration import migrated
from tasks.pipeline import load
from tests.support.datasets import WRITERS, box_room
from tests.support.pipelines import run_pipeline
from tests.support.stages import identity_of, source_of
from tests.support.truth_teacher import frame_of, write_rooms

HEIGHT = 96
SEEDS = (3249, 3251)  # the last of the split val, and one of test


@pytest.fixture(scope="module")
def rooms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("data") / "Structured3D"
    write_rooms(root, SEEDS, HEIGHT)
    return root


def config_of(folder: Path, **source: Any) -> Config:
    data = {
        "name": "rooms",
        "root": str(folder / "store"),
        "source": source,
        "project": {"patch_size": 96, "layout": {"kind": "cubemap", "fov_degrees": 100}},
        "teachers": [{"name": "truth", "kind": "tests.support.truth_teacher:load", "fields": ["depth", "normals", "semantics"]}],
        "fuse": {"height": HEIGHT},
        "execution": {"runner": {"workers": 2}, "pictures": 1},
    }
    path = folder / "rooms.yaml"
    path.write_text(yaml.safe_dump(migrated(data), sort_keys=False))
    return load(path)


def evaluated(config: Config) -> dict[str, dict[str, Any]]:
    """The rows of the stage evaluate by item."""
    files = Path(config.root, "stages", "evaluate").rglob("receipt.json")
    return {row["item"]: row for file in files for row in json.loads(file.read_text())["items"]}


def test_a_perfect_teacher_is_at_the_identity_floor(rooms: Path, tmp_path: Path, prefect_api: str) -> None:
    config = config_of(tmp_path, kind="structured3d", root=str(rooms), split="test")
    plan = make_plan(config)
    assert [entry.item for entry in plan.sources[0].scan.to_read] == ["scene_03251/1"]
    record = run_pipeline(config)
    assert record["quarantined"] == []
    assert not make_plan(config).anything_to_run
    rows = evaluated(config)
    assert rows.keys() == {"scene_03251/1"}
    for item, row in rows.items():
        figures = row["figures"]
        assert figures["depth"]["abs_rel"] < 0.01
        assert figures["depth"]["delta1"] > 0.995
        assert figures["normals"]["median"] < 1
        assert figures["normals"]["mean"] < 2.5
        assert figures["semantics"]["pixel_accuracy"] > 0.985
        folder = rooms / item.replace("/", "/2D_rendering/") / "panorama/full"
        files = {"depth": "depth", "normals": "normal", "semantics": "semantic", "instances": "instance"}
        assert figures["truth"] == {
            name: hashlib.sha256((folder / f"{file}.png").read_bytes()).hexdigest() for name, file in files.items()
        }
    step = next(step for step in trace_item(config, "scene_03251/1")["steps"] if step["stage"] == "evaluate")
    assert f"structured3d {rooms}" in json.dumps(step)


def test_truth_is_that_of_the_scene(rooms: Path, tmp_path: Path) -> None:
    config = config_of(tmp_path, kind="structured3d", root=str(rooms))
    uri = str(rooms / "scene_03249/2D_rendering/1/panorama/full/rgb_rawlight.png")
    truth, _ = evaluate.read_truth(source_of(config).settings.source, Item("scene_03249/1", uri, "", HEIGHT, 2 * HEIGHT, 1, ""))
    frame = frame_of(3249, HEIGHT)
    assert (truth["depth_valid"] == ~frame.sky).all()
    assert abs(truth["depth"] - frame.depth).max() < 0.00051
    assert (truth["instances"] == frame.instances).all()
    assert ((truth["normals"] * frame.normals).sum(-1)[~frame.sky] > 0.9999).mean() > 0.99


def test_kind_and_root_of_the_truth_are_part_of_the_fingerprint(tmp_path: Path) -> None:
    configs = [
        config_of(tmp_path, kind="structured3d", root="/data/a"),
        config_of(tmp_path, kind="structured3d", root="/data/b"),
        config_of(tmp_path, kind="replica360_4k", root="/data/a"),
        config_of(tmp_path, url="/data/a"),
    ]
    assert len({identity_of(config, "evaluate").fingerprint for config in configs}) == len(configs)


def test_init_recognises_the_layout_and_its_config_can_be_planned(rooms: Path, tmp_path: Path) -> None:
    survey = look_at(str(rooms))
    path = write_config(survey, tmp_path / "made.yaml")
    config = load(path)
    source = source_of(config).settings.source
    assert (source.kind, source.url, config.name) == ("structured3d", str(rooms), "structured3d")
    assert survey.panoramas == len(SEEDS)
    assert "  # split: val   # there are test, val\n" in path.read_text()
    assert make_plan(config).stages[0].items == len(SEEDS)


def test_init_of_a_band_states_the_whole_sphere(tmp_path: Path) -> None:
    WRITERS["densepass"](str(tmp_path / "DensePASS"), box_room(64))
    assert look_at(str(tmp_path / "DensePASS")).sizes == {"128x64": 2}


def test_doctor_reads_one_panoramas_truth(rooms: Path, tmp_path: Path) -> None:
    found = {check.name: check for check in check_source(config_of(tmp_path, kind="structured3d", root=str(rooms), split="val"))}
    assert found["ingest.source"].seen.startswith("1 panoramas")
    assert found["ingest.source.truth"].state == "ok", found["ingest.source.truth"]
    assert "normals within" in found["ingest.source.truth"].seen

    bare = tmp_path / "bare"
    write_rooms(bare, [3249], 32)
    (bare / "scene_03249/2D_rendering/1/panorama/full/depth.png").write_bytes(b"not a picture")
    found = {check.name: check for check in check_source(config_of(tmp_path, kind="structured3d", root=str(bare)))}
    assert found["ingest.source.truth"].state == "warning"
    assert "panorama/full/depth.png: is no PNG" in found["ingest.source.truth"].advice
