"""Teachers that see more than a patch: all views of a panorama, or the panorama itself, in pipelines with others."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import yaml

import panolabel
from configs.pipeline import Config
from configs.settings import ConfigError
from flows.ledger.query import ask
from flows.plan import make_plan
from geometry.directions import erp_directions
from storage.arrays import BlockReader
from tasks.pipeline import load as load_pipeline
from tests.support.all_views import distances
from tests.support.pipelines import load, make_owed, write_panoramas
from tests.support.stages import identity_of

FACES = {"stage": "project", "layout": {"kind": "cubemap", "fov_degrees": 90}, "patch_size": 24}
GEOMETRY = {"stage": "label", "kind": "tests.support.all_views:load", "fields": ["depth"], "views": "faces"}
WHOLE = {"stage": "project", "layout": {"kind": "sphere"}, "patch_size": 48}
BOTH = {"stage": "label", "kind": "tests.support.whole_panorama:load", "fields": ["depth", "semantics"], "views": "whole"}


def write(folder: Path, name: str = "small", **stages: Any) -> Path:
    """A pipeline's file over three panoramas: ``ingest``, then these stages, then ``fuse``."""
    write_panoramas(folder / "images", ["p0", "p1", "p2"])
    (folder / "classes.json").write_text(json.dumps({"factor": 2.0}))
    first = {"ingest": {"source": {"url": str(folder / "images")}, "block_size": 2}}
    data = {"name": name, "root": str(folder / name), "stages": {**first, **stages, "fuse": {"height": 32}}}
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(data, sort_keys=False))
    return path


def classes(folder: Path, views: str = "project") -> dict[str, Any]:
    settings = {"weights": str(folder / "classes.json")}
    return {
        "stage": "label",
        "kind": "tests.support.brightness:load",
        "fields": ["semantics"],
        "settings": settings,
        "views": views,
    }


def two_sets(folder: Path, **changes: Any) -> dict[str, Any]:
    """Geometry of six faces, and classes of twenty other views."""
    return {"project": {"patch_size": 24}, "faces": FACES, "geometry": GEOMETRY | changes, "classes": classes(folder)}


def rows(config: Config, stage: str) -> dict[str, tuple[dict[str, Any], dict[str, np.ndarray]]]:
    """Figures and arrays of every item of a stage, out of its receipts."""
    identity = identity_of(config, stage)
    found = {}
    for path in Path(config.root, "stages", identity.stage, identity.fingerprint).glob("*/receipt.json"):
        told = json.loads(path.read_text())
        reader = BlockReader(str(path.parent), told["files"])
        found |= {row["item"]: (row["figures"], reader.item(slot)) for slot, row in enumerate(told["items"])}
    return found


def test_geometry_of_six_faces_and_classes_of_other_views_meet(tmp_path: Path) -> None:
    config = load(write(tmp_path, **two_sets(tmp_path)))
    alone = load(write(tmp_path, "alone", project={"patch_size": 24}, classes=classes(tmp_path)))
    assert identity_of(config, "classes") == identity_of(alone, "classes"), "other views in the file change nothing of it"
    assert make_owed(config) == {"project": 2, "faces": 2, "geometry": 2, "classes": 2, "fuse": 2}
    assert make_owed(config) == {}
    make_owed(alone)
    true = distances(erp_directions(32, 64))
    for item, (figures, labels) in rows(config, "fuse").items():
        own = rows(alone, "fuse")[item][1]
        for name in (name for name in own if name.startswith("semantics")):
            np.testing.assert_array_equal(labels[name], own[name])
        assert figures["depth_valid"] == 1.0
        scaled = labels["depth"] / np.median(labels["depth"]) * np.median(true)
        assert np.median(np.abs(scaled / true - 1)) < 0.01, "one factor for all faces"


def test_facts_of_a_panorama_are_in_its_receipt_and_can_be_asked(tmp_path: Path) -> None:
    config = load(write(tmp_path, **two_sets(tmp_path)))
    make_owed(config)
    for figures, _ in rows(config, "geometry").values():
        assert 0 < figures["log_scale"] < np.log(2)
        assert figures["sky_share"] == 0
    answer = ask(config.root, "facts-of-panoramas", {})
    told = {row[0]: row[answer.columns.index("log_scale")] for row in answer.rows}
    assert told == {item: figures["log_scale"] for item, (figures, _) in rows(config, "geometry").items()}


def test_turned_faces_share_the_scale_of_the_others(tmp_path: Path) -> None:
    config = load(write(tmp_path, **two_sets(tmp_path, rotations=1)), fuse__depth="blend")  # which aligns nothing itself
    assert make_owed(config)["geometry.rotation1"] == 2
    true = distances(erp_directions(32, 64))
    for figures, labels in rows(config, "fuse").values():
        assert (labels["depth_rotation_consistency"] > 230).mean() > 0.85, "twelve views of one box, each six with a factor"
        scaled = labels["depth"] / np.median(labels["depth"]) * np.median(true)
        assert np.quantile(np.abs(scaled / true - 1), 0.9) < 0.05, "and fused on one scale"
        assert "semantics_rotation_consistency" not in labels, "classes were said once"
        assert figures["rotation_consistency"] > 0.9


def test_what_sees_the_panorama_speaks_through_one_view(tmp_path: Path) -> None:
    path = write(tmp_path, whole=WHOLE, both=BOTH)
    config = load(path)
    make_owed(config)
    for item, (figures, labels) in rows(config, "both").items():
        assert labels["depth"].shape == (1, 48, 96)
        brightness = cv2.imread(str(tmp_path / "images" / f"{item}.png")).mean(axis=-1) / 255
        said = labels["depth"][0].astype(float) * labels["depth_factor"][0]
        np.testing.assert_allclose(said, 1 + brightness, rtol=1e-3)
        assert figures["depth_valid"] == 1
    for figures, labels in rows(config, "fuse").values():
        assert (figures["views"], labels["views"].max()) == (1, 1)
    (view,) = panolabel.open(path, "fuse")["p0"].cameras
    assert (view.width, view.height, view.fov) == (96, 48, 2 * np.pi)


def test_a_turned_panorama_is_labelled_again(tmp_path: Path) -> None:
    config = load(write(tmp_path, whole=WHOLE, both=BOTH | {"rotations": 1}))
    make_owed(config)
    for _, labels in rows(config, "fuse").values():
        assert np.median(labels["depth_rotation_consistency"]) > 240


@pytest.mark.parametrize(
    ("stages", "told"),
    [
        (
            {"project": {}, "geometry": GEOMETRY | {"views": "project"}},
            "faces: {stage: project, layout: {kind: cubemap, fov_degrees: 90}",
        ),
        ({"faces": FACES | {"patch_size": 32}, "geometry": GEOMETRY}, "asked through views of its own, not those of 'faces'"),
        (
            {"project": {}, "both": BOTH | {"views": "project"}},
            "project, layout: {kind: sphere}, patch_size: 1024}",
        ),
        ({"faces": WHOLE, "geometry": GEOMETRY}, "sees views, and 'faces' gives the whole sphere"),
        ({"project": {}, "whole": WHOLE, "classes": "classes"}, "sees patches, and 'whole' gives the whole sphere"),
    ],
)
def test_views_that_do_not_fit_are_refused_with_those_to_write(tmp_path: Path, stages: dict, told: str) -> None:
    stages = {key: classes(tmp_path, "whole") if value == "classes" else value for key, value in stages.items()}
    with pytest.raises(ConfigError) as caught:
        make_plan(load_pipeline(write(tmp_path, **stages)))
    assert told in str(caught.value)


def test_views_named_for_fuse_must_be_those_of_its_teachers(tmp_path: Path) -> None:
    path = write(tmp_path, **two_sets(tmp_path))
    with pytest.raises(ConfigError, match="'geometry' looked through views of 'faces'"):
        load(path, fuse__views="project")


def test_one_factor_needs_all_views_in_one_call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import tests.support.all_views as module

    monkeypatch.delattr(module, "SEES")
    config = load(write(tmp_path, **two_sets(tmp_path)))
    with pytest.raises(ValueError, match='SEES = "views"'):
        make_owed(config)
