"""``rotations`` of teachers: what is planned, made and stored, and what stays valid."""

import json
from pathlib import Path

import numpy as np
import pytest

from configs.pipeline import Config
from flows.plan import make_plan
from flows.setup.cost import estimate_cost
from geometry.layouts import coverage
from storage.arrays import BlockReader
from tasks.label.project import choose_views
from tasks.label.rotations import rotated_views, yaw_degrees
from tasks.label.settings import Project
from tests.support.pipelines import data_bytes, load, make_owed, write_pipeline
from tests.support.stages import identity_of

TURNED = ("geometry.rotation1", "classes.rotation1")
LAYOUTS = ({"kind": "cubemap"}, {"kind": "icosahedron"}, {"kind": "rings", "views_per_ring": 6}, {"kind": "random", "count": 5})


@pytest.mark.parametrize("layout", LAYOUTS, ids=[one["kind"] for one in LAYOUTS])
def test_no_two_rotations_look_through_the_same_views(layout: dict) -> None:
    settings = Project(layout=layout, patch_size=16)
    cameras = choose_views(settings, "ab" * 32)
    seen = set()
    for rotation in range(8):
        views = rotated_views(cameras, settings.layout, rotation)
        seen |= {tuple(np.round(camera.axis, 6)) for camera in views if abs(camera.axis[1]) < 0.999}
        assert abs(int(coverage(views, 32, 64).sum()) / int(coverage(cameras, 32, 64).sum()) - 1) < 0.02
    level = sum(abs(camera.axis[1]) < 0.999 for camera in cameras)
    assert len(seen) == 8 * level


def test_turns_halve_the_period_of_the_layout() -> None:
    cube = Project(layout={"kind": "cubemap"}).layout
    assert [yaw_degrees(cube, rotation) for rotation in range(5)] == [0, 45, 22.5, 67.5, 11.25]


def test_one_more_rotation_runs_just_that(tmp_path: Path) -> None:
    path = write_pipeline(tmp_path, 3)
    make_owed(load(path))
    before = data_bytes(tmp_path / "store")
    config = load(path, geometry__rotations=1, classes__rotations=1)
    plan = {stage.stage: stage for stage in make_plan(config).stages}
    assert {name for name, stage in plan.items() if stage.to_run} == {*TURNED, "fuse", "evaluate"}
    assert all(plan[name].seconds is not None and plan[name].items == 3 for name in TURNED)
    plain = {stage.stage: stage for stage in make_plan(load(path, fuse__edge_feather=0.5)).stages}
    assert plan["fuse"].seconds == pytest.approx(4 * plain["fuse"].seconds, abs=0.25)
    costs = {stage.stage: stage for stage in estimate_cost(config, 100).stages}
    own = costs["geometry"]
    assert costs[TURNED[0]].worker_seconds == own.worker_seconds > 0
    assert "as geometry" in costs[TURNED[0]].note
    make_owed(config)
    assert not make_plan(config).anything_to_run
    assert not make_plan(load(path)).anything_to_run, "without rotations, what was there is valid as it was"
    assert {name: data for name, data in data_bytes(tmp_path / "store").items() if name in before} == before
    check_what_is_stored(tmp_path / "store", config)
    two = make_plan(load(path, geometry__rotations=2, classes__rotations=2))
    assert {stage.stage for stage in two.stages if stage.to_run and ".rotation" in stage.stage} == {
        name.replace("1", "2") for name in TURNED
    }


def check_what_is_stored(store: Path, config: Config) -> None:
    fuse = identity_of(config, "fuse")
    for receipt in (store / "stages" / "fuse" / fuse.fingerprint).glob("*/receipt.json"):
        told = json.loads(receipt.read_text())
        assert (told["about"]["rotations"], told["about"]["work"]) == (1, 4)
        for slot, row in enumerate(told["items"]):
            arrays = BlockReader(str(receipt.parent), told["files"]).item(slot)
            agreement = arrays["depth_rotation_consistency"]
            assert (agreement > 0).mean() > 0.99, "views of 100 degrees cover the sphere in both rotations"
            assert 0.5 < row["figures"]["rotation_consistency"] <= 1
            assert 0 < row["figures"]["consistency"] <= 1
            assert row["figures"]["views"] > 2  # twice the six views, of 1.24 sixths of the sphere each
