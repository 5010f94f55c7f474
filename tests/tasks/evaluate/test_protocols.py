"""Several protocols in one evaluation: one table, and the first one's figures as if it were alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from configs.pipeline import Config
from configs.settings import ConfigError
from flows.plan import make_plan
from flows.report import Found
from flows.stores.made import made_of
from storage.receipts import Receipt, read_receipt
from tasks.evaluate.settings import Evaluate
from tasks.evaluate.shown import shows, summary
from tasks.pipeline import validated
from tests.support.pipelines import make_owed, write_panoramas


@pytest.fixture(scope="module")
def rooms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two panoramas, their truth, and what a teacher says of them."""
    root = tmp_path_factory.mktemp("rooms")
    write_panoramas(root / "images", ["p0", "p1"], 32)
    (root / "truth").mkdir()
    (root / "dataset.json").write_text(json.dumps({"classes": ["wall"]}))
    (root / "teacher.json").write_text(json.dumps({"factor": 2.0}))
    for seed, name in enumerate(("p0", "p1")):
        generator = np.random.default_rng(seed)
        normals = generator.normal(size=(16, 32, 3)).astype(np.float32)
        np.savez(root / "truth" / f"{name}.npz", depth=generator.uniform(1, 9, (16, 32)).astype(np.float32), normals=normals)
    return root


def pipeline(folder: Path, rooms: Path, protocol: Any) -> Config:
    weights = {"weights": str(rooms / "teacher.json")}
    stages = {
        "ingest": {"source": {"url": str(rooms / "images"), "truth": str(rooms)}},
        "project": {"patch_size": 16, "layout": {"kind": "cubemap", "fov_degrees": 100}},
        "teacher": {
            "stage": "label",
            "kind": "tests.support.brightness:load",
            "fields": ["depth", "normals"],
            "settings": weights,
        },
        "fuse": {"height": 16},
        "evaluate": {} if protocol is None else {"protocol": protocol},
    }
    return validated({"name": "protocols", "root": str(folder / "store"), "stages": stages})


def evaluated(config: Config) -> Receipt:
    make_owed(config)
    plan = make_plan(config)
    receipt = read_receipt(plan.step("evaluate").stage.block_url(plan.blocks[0].name))
    assert receipt is not None
    return receipt


def test_one_name_is_fingerprinted_as_ever() -> None:
    assert Evaluate().fingerprinted() == {"protocol": "panolabel"}
    assert Evaluate(protocol="da2").fingerprinted() == Evaluate(protocol=["da2"]).fingerprinted() == {"protocol": "da2"}
    assert Evaluate(protocol=["da2", "seams"]).fingerprinted() == {"protocol": ["da2", "seams"]}


@pytest.mark.parametrize(
    ("protocol", "told"),
    [
        ("pager_scal", "did you mean 'pager_scale'"),
        (["panolabel", "mogge_scale"], "did you mean 'moge_scale'"),
        (["da2", "da2"], "'da2' stands twice"),
        (["seams", "da2"], "stands after one that does"),
        ([], "at least 1 item"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_runs(tmp_path: Path, rooms: Path, protocol: Any, told: str) -> None:
    with pytest.raises(ConfigError, match="protocol") as caught:
        pipeline(tmp_path, rooms, protocol)
    assert told in str(caught.value)


def test_the_first_stays_as_it_is_alone_and_all_stand_in_one_table(tmp_path: Path, rooms: Path) -> None:
    names = ["panolabel", "pager_metric", "da2", "moge_scale", "seams"]
    alone = evaluated(pipeline(tmp_path, rooms, None))
    config = pipeline(tmp_path, rooms, names)
    several = evaluated(config)
    for one, other in zip(alone.items, several.items, strict=True):
        assert one.figures == {name: value for name, value in other.figures.items() if name != "protocols"}
    assert "protocols" not in alone.about
    plan = make_plan(config)
    made = made_of(config, plan, plan.step("evaluate"))
    found = Found()
    found.add(made)
    assert found.error is None
    rows = found.summary["evaluate"]["protocols"]
    assert [(row["protocol"], row["panoramas"]) for row in rows] == [(name, 2) for name in names]
    headline = {row["key"]: row["value"] for row in found.summary["evaluate"]["headline"]}
    assert rows[0]["figures"]["depth.abs_rel"] == pytest.approx(headline["depth.abs_rel"])
    tables = {piece.name: piece for piece in shows(made) if hasattr(piece, "rows")}
    assert [row[0] for row in tables["protocols"].rows] == names
    assert not tables["protocols"].detail, "a terminal shows it"
    assert summary(made)["protocol"] == "panolabel"
