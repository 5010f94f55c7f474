"""Auxiliary labels and depth-normal consistency through the real stages of a small pipeline, without Prefect."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from configs.pipeline import Config
from configs.settings import ConfigError
from geometry.surfaces.auxiliaries import AUXILIARIES, EDGE_LIMIT, derive_auxiliaries
from metrics.depth_normals import depth_normal_figures
from storage.receipts import Receipt
from tasks.label.fuse import decode_labels, encode_labels
from tasks.label.settings import Fuse
from tasks.stage.upstream import Upstream
from tests.support.pipelines import load, write_pipeline
from tests.support.stages import identity_of, ingested, job_of, made, stage_of


def fused(config: Config) -> tuple[Receipt, list[dict[str, np.ndarray]]]:
    """The fuse stage's receipt and labels of a one-block pipeline."""
    (block,) = ingested(config)
    receipt = made(config, block, until="evaluate")["fuse"]
    reader = Upstream(job_of(config, "evaluate", block), stage_of(config, "fuse"))
    return receipt, [reader.item(row.slot) for row in block.items]


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Receipt, list[dict[str, np.ndarray]]]:
    path = write_pipeline(tmp_path_factory.mktemp("plain"), 2)
    return path, *fused(load(path))


def test_by_default_none_is_stored(plain) -> None:
    _, receipt, items = plain
    assert not set(AUXILIARIES) & set(items[0])
    assert "auxiliaries" not in receipt.about


def test_they_are_stored_with_their_units_and_are_those_of_the_fused_labels(plain, tmp_path: Path) -> None:
    path, receipt, items = plain
    asked = load(path, root=str(tmp_path / "store"), fuse__auxiliaries=list(AUXILIARIES), fuse__depth_dtype="float32")
    new_receipt, new_items = fused(asked)
    about = new_receipt.about["auxiliaries"]
    assert about["points"] == {"unit": receipt.about["depth_unit"], "frame": "world"}
    assert about["edge_distance"] == {"unit": "radian", "limit": EDGE_LIMIT}
    for name, old, new in zip(("p00", "p01"), items, new_items, strict=True):
        assert all(new[key].dtype == np.float16 for key in AUXILIARIES)
        image = cv2.imread(str(path.parent / "images" / f"{name}.png"))[..., ::-1]
        expected = derive_auxiliaries(AUXILIARIES, decode_labels(new), image, stage_of(asked, "fuse").settings.depth_edge)
        for key in AUXILIARIES:
            np.testing.assert_allclose(new[key], expected[key], rtol=1e-3, atol=1e-3)
        for key in old.keys() - {"depth"}:
            np.testing.assert_array_equal(new[key], old[key])


def test_the_receipt_tells_how_far_depth_and_normals_disagree(plain) -> None:
    _, receipt, items = plain
    for row, labels in zip(receipt.items, items, strict=True):
        expected = depth_normal_figures(decode_labels(labels), 0.1)
        assert row.figures["depth_normal_degrees"] == pytest.approx(expected["depth_normal_degrees"], abs=1)
        assert row.figures["depth_normal_within_11_25"] <= row.figures["depth_normal_within_30"] <= 1


def test_enforcing_changes_the_depth_alone_and_lowers_the_angle(plain, tmp_path: Path) -> None:
    path, receipt, items = plain
    enforced, new_items = fused(load(path, root=str(tmp_path / "store"), fuse__depth_normal="enforce"))
    for row, old_row, new, old in zip(enforced.items, receipt.items, new_items, items, strict=True):
        assert [key for key in old if not np.array_equal(new[key], old[key])] == ["depth"]
        assert row.figures["depth_normal_degrees"] < old_row.figures["depth_normal_degrees"]


def test_a_panorama_that_changed_is_set_aside_when_its_pixels_are_needed(tmp_path: Path) -> None:
    path = write_pipeline(tmp_path, 2, fuse={"height": 32, "auxiliaries": ["image_gradient"]})
    config = load(path)
    (block,) = ingested(config)
    made(config, block, until="fuse")
    (tmp_path / "images" / "p01.png").write_bytes((tmp_path / "images" / "p00.png").read_bytes())
    receipt = made(config, block, until="evaluate")["fuse"]
    assert [row.state for row in receipt.items] == ["done", "quarantined"]
    assert "changed while the run was going" in receipt.items[1].reason


def test_points_beyond_the_range_of_float16_become_zero() -> None:
    points = np.array([[[1.0, 2.0, 3.0], [0.0, 0.0, 1e6]]], np.float32)
    labels = {"depth": np.array([[3.74, 1e6]], np.float32), "depth_valid": np.ones((1, 2), bool), "points": points}
    stored = encode_labels(labels, Fuse())
    np.testing.assert_array_equal(stored["depth_valid"], [[True, False]])
    np.testing.assert_array_equal(stored["points"], [[[1, 2, 3], [0, 0, 0]]])


@pytest.mark.parametrize(
    ("fields", "fuse", "message"),
    [
        (["normals"], {"auxiliaries": ["points"]}, "'points' needs a teacher of depth"),
        (["normals"], {"auxiliaries": ["edge_distance"]}, "'edge_distance' needs a teacher of depth or semantics or sky"),
        (["depth"], {"depth_normal": "enforce"}, "'enforce' needs teachers of depth and of normals"),
        (["depth"], {"auxiliaries": ["points", "colour"]}, "colour"),
    ],
)
def test_what_cannot_be_derived_is_refused_before_anything_runs(tmp_path: Path, fields: list, fuse: Any, message: str) -> None:
    settings = {"weights": str(tmp_path / "geometry.json")}
    teacher = {"name": "geometry", "kind": "tests.support.brightness:load", "fields": fields, "settings": settings}
    with pytest.raises(ConfigError, match=message):
        load(write_pipeline(tmp_path, 1, teachers=[teacher], fuse=fuse))


def test_the_order_of_names_changes_nothing(tmp_path: Path) -> None:
    path = write_pipeline(tmp_path, 1)
    one, other = (
        load(path, fuse__auxiliaries=names) for names in (["points", "edge_distance"], ["edge_distance", "points", "points"])
    )
    assert identity_of(one, "fuse") == identity_of(other, "fuse")
