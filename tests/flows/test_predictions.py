"""Predictions that somebody made elsewhere go through fuse, audit, report and publish as labels do; exports come back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from typer.testing import CliRunner

from configs.settings import ConfigError
from flows.cli import app
from flows.plan import make_plan
from flows.publishing.files import export_files
from scenes.dataset import write_dataset
from tests.flows.test_sees import rows
from tests.support.pipelines import load, make_owed, run_pipeline

NAMES = ("street_00070", "street_00071")
WHOLE = {"stage": "project", "layout": {"kind": "sphere"}, "patch_size": 64}


@pytest.fixture(scope="module")
def streets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("streets")
    write_dataset(root, "street", 2, 70, 64, 128, supersample=1, amodal=False, processes=1)
    return root


def truth_of(streets: Path, item: str) -> dict[str, np.ndarray]:
    with np.load(streets / "truth" / f"{item}.npz") as arrays:
        return dict(arrays)


def write_pager(folder: Path, streets: Path, names: tuple[str, ...] = NAMES) -> Path:
    """What PaGeR would write if it were perfect: depth (1, H, W), and normals (3, H, W) along forward, up and left."""
    for item in names:
        truth = truth_of(streets, item)
        right, down, forward = np.moveaxis(truth["normals"].astype(np.float32), -1, 0)
        arrays = {"depth": truth["depth"][None].astype(np.float32), "normals": np.stack([forward, -down, -right])}
        for name, array in arrays.items():
            (path := folder / name / "preds" / f"{item}.npz").parent.mkdir(parents=True, exist_ok=True)
            np.savez(path, array)
    return folder


def write(folder: Path, streets: Path, name: str, predictions: Path, **settings: Any) -> Path:
    own = {"folder": str(predictions), **settings}
    fields = settings.pop("fields", ["depth", "normals"])
    own.pop("fields", None)
    stages = {
        "ingest": {"source": {"url": str(streets / "images"), "truth": str(streets)}, "block_size": 1},
        "whole": WHOLE,
        "theirs": {"stage": "label", "kind": "files", "fields": fields, "views": "whole", "settings": own},
        "fuse": {"height": 64, "normals_dtype": "float16"},
        "evaluate": {},
        "audit": {},
    }
    data = {"name": name, "root": str(folder / name), "stages": stages, "execution": {"pictures": 1}}
    (path := folder / f"{name}.yaml").write_text(yaml.safe_dump(data, sort_keys=False))
    return path


def test_their_predictions_are_labels_like_ours(tmp_path: Path, streets: Path, prefect_api: str) -> None:
    predictions = write_pager(tmp_path / "results", streets)
    path = write(tmp_path, streets, "theirs", predictions, layout="pager", licence="cc-by-nc-4.0")
    config = load(path)
    record = run_pipeline(config)
    assert {one["stage"]: one["ran"] for one in record["stages"]}["theirs"] == 2
    assert not make_plan(config).anything_to_run
    for item, (figures, labels) in rows(config, "fuse").items():
        truth = truth_of(streets, item)
        land = labels["depth_valid"] & ~truth["sky"]
        np.testing.assert_allclose(labels["depth"][land], truth["depth"][land], rtol=1e-3)
        known = labels["normals_valid"] & ~truth["sky"]
        assert np.abs(labels["normals"][known].astype(float) - truth["normals"][known]).max() < 0.01
        assert figures["views"] == 1
    for figures, _ in rows(config, "audit").values():
        assert figures["judged"]["depth"] > 0.5
    assert "cc-by-nc-4.0" in next(Path(config.root, "reports").glob("*.html")).read_text()
    published = CliRunner().invoke(app, ["publish", str(path), "--json"])
    assert (published.exit_code, json.loads(published.output)["panoramas"]) == (0, 2)


def test_a_changed_prediction_is_labelled_again_and_a_missing_one_given_up(tmp_path: Path, streets: Path) -> None:
    predictions = write_pager(tmp_path / "results", streets, NAMES[:1])
    config = load(write(tmp_path, streets, "theirs", predictions, layout="pager"))
    make_owed(config)
    receipts = [json.loads(path.read_text()) for path in Path(config.root, "stages", "label.theirs").rglob("receipt.json")]
    states = {row["item"]: (row["state"], row["reason"]) for receipt in receipts for row in receipt["items"]}
    assert states[NAMES[0]] == ("done", "")
    missing = predictions / "depth" / "preds" / f"{NAMES[1]}.npz"
    assert states[NAMES[1]] == ("quarantined", f"there is no prediction {missing}")
    write_pager(predictions, streets)
    plan = {stage.stage: stage.to_run for stage in make_plan(config).stages}
    assert (plan["theirs"], plan["whole"]) == (2, 0)
    make_owed(config)
    before = rows(config, "fuse")[NAMES[1]][1]["depth"]
    np.savez(missing, 2 * truth_of(streets, NAMES[1])["depth"][None].astype(np.float32))
    make_owed(config)
    after = rows(config, "fuse")[NAMES[1]][1]["depth"]
    seen = (before > 0) & (after > 0)
    np.testing.assert_allclose(after[seen], 2 * before[seen], rtol=2e-3)


def test_views_and_rotations_that_files_have_not_are_refused(tmp_path: Path, streets: Path) -> None:
    path = write(tmp_path, streets, "theirs", write_pager(tmp_path / "results", streets), layout="pager")
    with pytest.raises(ConfigError, match="cannot be asked again through turned views"):
        make_plan(load(path, theirs__rotations=1))
    with pytest.raises(ConfigError, match="sees the panorama at once"):
        make_plan(load(path, whole__layout__kind="cubemap"))


@pytest.mark.parametrize("layout", ["pager", "files"])
def test_an_export_comes_back(tmp_path: Path, streets: Path, layout: str) -> None:
    first = write(tmp_path, streets, "first", write_pager(tmp_path / "results", streets), layout="pager")
    make_owed(load(first))
    out = tmp_path / "out"
    told = CliRunner().invoke(app, ["export", str(first), str(out), "--to", layout, "--json"])
    assert told.exit_code == 0, told.output
    index = json.loads((out / "labels.json").read_text())
    assert all((out / file).is_file() for one in index["items"].values() for file in one["files"])
    again = {"pager": "pager", "files": "panolabel"}[layout]
    second = load(write(tmp_path, streets, "second", out, layout=again))
    make_owed(second)
    for item, (_, labels) in rows(load(first), "fuse").items():
        back = rows(second, "fuse")[item][1]
        both = labels["depth_valid"] & back["depth_valid"]
        assert both.sum() == labels["depth_valid"].sum()
        np.testing.assert_allclose(back["depth"][both].astype(float), labels["depth"][both], rtol=1e-3)
        known = labels["normals_valid"] & back["normals_valid"]
        assert known.sum() == labels["normals_valid"].sum()
        ours, theirs = labels["normals"][known].astype(float), back["normals"][known].astype(float)
        turned = np.arctan2(np.linalg.norm(np.cross(ours, theirs), axis=-1), (ours * theirs).sum(axis=-1))
        assert np.degrees(turned).max() < 1


def test_a_second_export_leaves_no_files_of_the_first(tmp_path: Path, streets: Path) -> None:
    first = write(tmp_path, streets, "first", write_pager(tmp_path / "results", streets), layout="pager")
    make_owed(load(first))
    for layout in ("files", "pager"):
        assert CliRunner().invoke(app, ["export", str(first), str(tmp_path / "out"), "--to", layout]).exit_code == 0
    files = {path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert files == {"labels.json", *(f"{name}/preds/{item}.npz" for name in ("depth", "normals") for item in NAMES)}


@pytest.mark.parametrize("held", ["{", "[]", '{"items": {"a": 1}}', '{"items": {"a": {"files": ["../kept"]}}}'])
def test_an_export_replaces_nothing_by_a_foreign_list(tmp_path: Path, streets: Path, held: str) -> None:
    first = write(tmp_path, streets, "first", write_pager(tmp_path / "results", streets), layout="pager")
    make_owed(load(first))
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "labels.json").write_text(held)
    (tmp_path / "kept").write_text("kept")
    with pytest.raises(ConfigError, match="no list of an earlier export"):
        export_files(load(first), "files", str(tmp_path / "out"))
    assert (tmp_path / "kept").exists()
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["labels.json"], "nothing is written beside it"
