"""Geometry of a cubemap network that sees six faces at once, beside classes of the demo teacher's twenty views: one pipeline."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from configs.pipeline import Config
from configs.settings import ConfigError
from flows.plan import make_plan
from flows.setup.needs import check_weights
from flows.stores.lineage import trace_item
from scenes.dataset import write_dataset
from tests.flows.test_sees import rows
from tests.models.teachers.panoramic.checkpoints import write_checkpoint
from tests.support.pipelines import load, make_owed, run_pipeline
from tests.support.stages import identity_of

DEMO = {"stage": "label", "kind": "transformers", "fields": ["semantics"], "views": "project", "settings": {"model": "demo"}}


@pytest.fixture(scope="module")
def streets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("streets")
    write_dataset(root, "street", 2, 70, 64, 128, supersample=1, amodal=False, processes=1)
    return root


def write(folder: Path, streets: Path, name: str, faces: dict[str, Any] | None = None, **settings: Any) -> Path:
    """A pipeline's file; without ``faces`` the classes alone."""
    source = {"url": str(streets / "images"), "truth": str(streets)}
    stages: dict[str, Any] = {"ingest": {"source": source}, "project": {"patch_size": 48}}
    if faces is not None:
        own = {"model": str(write_checkpoint(folder / "weights")), **settings}
        stages["faces"] = {"stage": "project", **faces}
        given = {"fields": ["depth", "normals", "sky"], "views": "faces", "settings": own}
        stages["geometry"] = {"stage": "label", "kind": "cubemap", **given}
    data = {"name": name, "root": str(folder / name), "stages": {**stages, "classes": DEMO, "fuse": {"height": 64}, "audit": {}}}
    (path := folder / f"{name}.yaml").write_text(yaml.safe_dump(data, sort_keys=False))
    return path


LAYOUT = {"layout": {"kind": "cubemap", "fov_degrees": 91.0323}, "patch_size": 56, "antialias": False}


def test_two_teachers_of_different_views_in_one_store(tmp_path: Path, streets: Path, prefect_api: str) -> None:
    config = load(write(tmp_path, streets, "both", LAYOUT))
    record = run_pipeline(config)
    ran = {one["stage"]: one["ran"] for one in record["stages"]}
    assert [ran[key] for key in ("project", "faces", "geometry", "classes", "fuse", "audit")] == [1] * 6
    assert not make_plan(config).anything_to_run
    alone = load(write(tmp_path, streets, "alone"))
    make_owed(alone)
    for item, (figures, labels) in rows(config, "fuse").items():
        own = rows(alone, "fuse")[item][1]
        for name in (name for name in own if name.startswith("semantics")):
            np.testing.assert_array_equal(labels[name], own[name])
        assert figures["normals_valid"] + figures["sky"] == pytest.approx(1, abs=0.01)
    told = trace_item(config, "street_00070", "fuse")
    assert {"geometry", "classes", "faces", "project"} <= {step["key"] for step in told["steps"]}
    check_what_receipts_tell(config)


def check_what_receipts_tell(config: Config) -> None:
    identity = identity_of(config, "geometry")
    (path,) = Path(config.root, "stages", "label.geometry", identity.fingerprint).glob("*/receipt.json")
    receipt = json.loads(path.read_text())
    assert receipt["about"]["licence"] == "cc-by-nc-4.0"
    assert receipt["about"]["fields"]["depth"] == {"unit": "metre", "frame": "ray"}
    for row in receipt["items"]:
        assert {"log_scale", "scale_spread", "p_outdoor", "sky_share"} <= row["figures"].keys()
    (note,) = make_plan(config).notes
    assert note == "geometry: the licence of its weights is cc-by-nc-4.0; labels made with them inherit that doubt"
    told = [check for check in check_weights(config) if "licence" in check.seen]
    assert [(check.state, check.seen) for check in told] == [("warning", "licence of the weights: cc-by-nc-4.0")]


@pytest.mark.parametrize("faces", [LAYOUT | {"patch_size": 504}, {"layout": {"kind": "cubemap"}, "patch_size": 56}, {}])
def test_other_views_are_refused_with_those_to_write(tmp_path: Path, streets: Path, faces: dict[str, Any]) -> None:
    config = load(write(tmp_path, streets, "both", faces))
    with pytest.raises(ConfigError) as caught:
        make_plan(config)
    assert "layout: {kind: cubemap, fov_degrees: 91.0323}, patch_size: 56, antialias: false" in str(caught.value)


def test_without_weights_a_plan_is_partial(tmp_path: Path, streets: Path) -> None:
    path = write(tmp_path, streets, "both", LAYOUT)
    (tmp_path / "weights" / "model.safetensors").unlink()
    with pytest.raises(ConfigError, match=r"lacks model\.safetensors"):
        make_plan(load(path))
    assert "geometry" in str(make_plan(load(path), weigh="here").lacks)


def test_audit_holds_each_teacher_against_its_own_views(tmp_path: Path, streets: Path) -> None:
    config = load(write(tmp_path, streets, "both", LAYOUT, scene="outdoor"))
    make_owed(config)
    for figures, _ in rows(config, "audit").values():
        assert {"depth", "normals", "semantics"} <= figures["judged"].keys()
        assert figures["judged"]["semantics"] > 0.9
