"""Distances without a scale, and directions that no view sees, from a teacher to the figures: told as what they are."""

from pathlib import Path

import numpy as np
import pytest

from configs.execution import Execution
from flows.plan import make_plan
from metrics.protocols import PROTOCOLS, for_unit
from scenes.dataset import write_dataset
from storage.arrays import BlockReader
from storage.fingerprint import Identity
from storage.items import Block
from storage.receipts import Receipt, read_receipt
from tasks.evaluate import evaluate
from tasks.evaluate.evaluate import summarise_rows
from tasks.evaluate.shown import shows
from tasks.label.fuse import decode_labels
from tasks.pipeline import validated
from tasks.stage.kind import Stage
from tasks.stage.made import Made
from tests.support.pipelines import make_owed

TOLD = "panolabel, but depth after one scale per image: the labels have none"


@pytest.fixture(scope="module")
def streets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("streets")
    write_dataset(root, "street", 2, 70, 64, 128, supersample=1, amodal=False, processes=1)
    return root


def made(folder: Path, streets: Path, unit: str, level: float) -> tuple[Receipt, Receipt, list[dict]]:
    """The receipts of fuse and evaluate, and the fused labels."""
    teacher = {
        "stage": "label",
        "kind": "tests.support.scaleless_teacher:load",
        "fields": ["depth", "sky"],
        "settings": {"unit": unit, "level": level},
    }
    stages = {
        "ingest": {"source": {"url": str(streets / "images"), "truth": str(streets)}},
        "project": {"patch_size": 48},
        "one": teacher,
        "fuse": {"height": 64, "auxiliaries": ["points"]},
        "evaluate": {},
    }
    config = validated({"name": "scaleless", "root": str(folder / "store"), "stages": stages})
    make_owed(config)
    plan = make_plan(config)
    (block,) = plan.blocks
    urls = {stage.key: stage.block_url(block.name) for stage in plan.definitions}
    receipts = {name: read_receipt(urls[name]) for name in ("fuse", "evaluate")}
    reader = BlockReader(urls["fuse"], receipts["fuse"].files)
    return receipts["fuse"], receipts["evaluate"], [decode_labels(reader.item(slot)) for slot in range(2)]


@pytest.mark.parametrize(("unit", "level", "most"), [("scale", 3e4, 0.06), ("scale", 1e-5, 0.06), ("inverse", 200.0, 0.12)])
def test_distances_without_a_scale(tmp_path: Path, streets: Path, unit: str, level: float, most: float) -> None:
    fused, evaluated, labels = made(tmp_path, streets, unit, level)
    assert fused.about["depth_unit"] == "scale", "they are distances, whatever the teacher says"
    assert fused.about["auxiliaries"]["points"]["unit"] == "scale"
    assert evaluated.about["protocol"] == TOLD
    for slot, one in enumerate(labels):
        truth = np.load(streets / "truth" / f"{fused.items[slot].item}.npz")
        land = ~truth["sky"].astype(bool)
        valid = one["depth_valid"]
        assert valid[land].mean() > 0.97
        assert not valid[one["sky"]].any()
        assert np.median(one["depth"][valid]) == pytest.approx(1, rel=1e-3)
        both = valid & land
        said, true = np.log(one["depth"][both]), np.log(truth["depth"][both])
        assert np.corrcoef(said, true)[0, 1] > 0.97
        points = np.linalg.norm(one["points"].astype(np.float32), axis=-1)
        np.testing.assert_allclose(points[valid], one["depth"][valid], rtol=2e-3)
        assert evaluated.items[slot].figures["depth"]["abs_rel"] < most


def test_reports_and_summaries_say_that_depth_was_given_a_scale(tmp_path: Path, streets: Path) -> None:
    _, evaluated, _ = made(tmp_path, streets, "scale", 1.0)
    summary = summarise_rows(evaluated.items, evaluated.about)
    assert summary["protocol"] == TOLD
    stage = Stage("evaluate", evaluate.KIND, evaluate.KIND.settings(), {}, Identity("evaluate", "1"), "")
    seen = Made(stage, (("", Block(0, ()), evaluated),), {}, Execution())
    assert TOLD in shows(seen)[0].note  # type: ignore[union-attr]


def test_only_metric_protocols_of_what_is_not_metric_change() -> None:
    for protocol in PROTOCOLS.values():
        assert for_unit(protocol, "metre") is protocol
        found = for_unit(protocol, "scale")
        if protocol.alignment == "metric" and protocol.is_judge:
            assert (found.alignment, found.clip, found.by_area) == ("scale", protocol.clip, protocol.by_area)
            assert found.name.startswith(protocol.name)
            assert "one scale per image" in found.name
        else:
            assert found is protocol
        assert for_unit(protocol, "inverse") == for_unit(protocol, "scale")


@pytest.mark.parametrize(
    "layout", [{"kind": "rings", "poles": False}, {"kind": "list", "views": [{"yaw_degrees": 20, "pitch_degrees": 0}]}]
)
def test_panoramas_of_which_views_see_a_part_go_through_every_stage(tmp_path: Path, streets: Path, layout: dict) -> None:
    stages = {
        "ingest": {"source": {"url": str(streets / "images"), "truth": str(streets)}},
        "project": {"patch_size": 32, "layout": layout},
        "truth": {"stage": "label", "kind": "scenes", "fields": ["depth", "normals", "semantics", "sky", "instances"]},
        "fuse": {"height": 64, "depth": "gradient", "depth_normal": "enforce", "auxiliaries": ["points", "edge_distance"]},
        "evaluate": {},
        "audit": {},
    }
    config = validated({"name": "part", "root": str(tmp_path / "store"), "stages": stages})
    make_owed(config)
    plan = make_plan(config)
    assert not any(plan.owed.values())
    (block,) = plan.blocks
    for stage in plan.definitions:
        receipt = read_receipt(stage.block_url(block.name))
        assert [row.state for row in receipt.items] == ["done", "done"], [row.reason for row in receipt.items]
        if stage.name == "evaluate":
            assert all(row.figures["depth"]["abs_rel"] < 0.05 for row in receipt.items)
            assert all(row.figures["coverage"]["depth"] < 0.8 for row in receipt.items)
