"""Panoramas of which a part was photographed, from the file through all stages: nothing outside is ever valid."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml
import zarr

from flows.publishing.export import export
from flows.publishing.points import Solids, write_points
from flows.publishing.publish import publish
from flows.stores.finished import finished_labels
from geometry.resampling.augment import Augmentation
from storage.published import open_published
from tasks.train.labels.auxiliaries import deriving
from tasks.train.labels.data import DataSettings, LabelStore, TrainingData
from tasks.train.labels.items import ItemSettings
from tests.support.pipelines import load, run_pipeline, write_panoramas, write_pipeline

HEIGHT, LABELS = 48, 32
BAND = slice(12, 36)  # rows of the whole sphere, -45 to 45 degrees
OUTSIDE, INSIDE = np.ones((2, LABELS), bool)
OUTSIDE[8:24] = False  # rows of the labels that lie in the band, altogether
INSIDE[:9] = INSIDE[23:] = False  # and those that no border touches
EVERY = ("points", "image_gradient", "edge_distance")


def write_parts(folder: Path) -> None:
    """A whole panorama, its band of 90 degrees, and a sliver of one row, which is less than any label's pixel."""
    write_panoramas(folder, ["whole"], HEIGHT)
    pixels = cv2.imread(str(folder / "whole.png"))
    for name, rows, degrees in (("band", BAND, 90.0), ("sliver", slice(23, 24), 3.75)):
        cv2.imwrite(str(folder / f"{name}.png"), pixels[rows])
        (folder / f"{name}.json").write_text(json.dumps({"vertical_degrees": degrees}))


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory, prefect_api: str) -> Path:
    folder = tmp_path_factory.mktemp("observed")
    project = {"patch_size": 24, "layout": {"kind": "cubemap", "fov_degrees": 100}, "keep_pixels": True}
    fused = {"height": LABELS, "auxiliaries": list(EVERY), "depth": "align"}
    path = write_pipeline(folder, 0, block_size=4, project=project, fuse=fused, label={"rotations": 1})
    write_parts(folder / "images")
    run_pipeline(load(path))
    return path


def rows_of(path: Path, stage: str) -> list[dict]:
    """The rows of the receipt of a stage's only block."""
    (receipt,) = (path.parent / "store" / "stages" / stage).rglob("receipt.json")
    return json.loads(receipt.read_text())["items"]


def block_arrays(path: Path, stage: str) -> tuple[dict[str, zarr.Array], list[dict]]:
    """The arrays of a stage's only block, read by zarr alone, and the rows of its receipt."""
    (receipt,) = (path.parent / "store" / "stages" / stage).rglob("receipt.json")
    return dict(zarr.open_group(receipt.parent / "data.zarr", mode="r").arrays()), rows_of(path, stage)


def slot_of(rows: list[dict], name: str) -> int:
    return [row["item"] for row in rows].index(name)


def test_no_label_lies_outside(path: Path) -> None:
    arrays, rows = block_arrays(path, "fuse")
    band, whole = slot_of(rows, "band"), slot_of(rows, "whole")
    for name in ("depth", "normals", "semantics"):
        valid = arrays[f"{name}_valid"][band]
        assert not valid[OUTSIDE].any(), name
        assert valid[INSIDE].all(), name
        assert arrays[f"{name}_valid"][whole].all()
    for name in arrays:
        if name != "edge_distance":
            assert not arrays[name][band][OUTSIDE].any(), name
    np.testing.assert_allclose(arrays["edge_distance"][band][OUTSIDE], np.radians(15), rtol=1e-3)


def test_the_border_is_no_edge(path: Path) -> None:
    """Where no other edge is near, the band has the gradients and distances to edges of the whole panorama, or none."""
    arrays, rows = block_arrays(path, "fuse")
    band, whole = slot_of(rows, "band"), slot_of(rows, "whole")
    gradient = {which: arrays["image_gradient"][slot].astype(np.float32) for which, slot in (("band", band), ("whole", whole))}
    assert not gradient["band"][[8, 23]].any(), "beside the border"
    np.testing.assert_allclose(gradient["band"][9:23], gradient["whole"][9:23], atol=1e-2)
    distance = [arrays["edge_distance"][slot].astype(np.float32) for slot in (band, whole)]
    assert (distance[0][INSIDE] >= distance[1][INSIDE] - 1e-3).all(), "no edge is nearer than in the whole panorama"


def test_patches_count_where_they_show_the_photograph(path: Path) -> None:
    up = np.abs(block_arrays(path, "project")[0]["rotation"][0][:, 5]) > 0.9  # y of the axis; 40 degrees around it are black
    assert up.sum() == 2
    for stage in ("label.geometry", "label.classes", "label.geometry.rotation1", "label.classes.rotation1"):
        arrays, rows = block_arrays(path, stage)
        band, whole = slot_of(rows, "band"), slot_of(rows, "whole")
        for name in (name for name in arrays if name.endswith("_valid")):
            valid = arrays[name][band]
            assert not valid[up, 6:18, 6:18].any()
            assert 0.5 < valid[~up].mean() < 1
            assert arrays[name][whole].all()
            assert rows[band]["figures"][name] == 1, "a share of what was photographed"


def test_what_shows_too_little_is_given_up_with_the_reason(path: Path) -> None:
    for stage in ("fuse", "evaluate"):
        rows = rows_of(path, stage)
        row = rows[slot_of(rows, "sliver")]
        assert row["state"] == "quarantined"
        assert "no pixel of it was photographed whole, as seen at 32 rows" in row["reason"]


def test_figures_are_shares_of_what_was_photographed(path: Path) -> None:
    _, rows = block_arrays(path, "fuse")
    band = rows[slot_of(rows, "band")]["figures"]
    assert band["depth_valid"] == band["normals_valid"] == band["semantics_valid"] > 0.9
    assert band["views"] >= 1
    rows = rows_of(path, "evaluate")
    coverage = rows[slot_of(rows, "band")]["figures"]["coverage"]
    valid = block_arrays(path, "fuse")[0]["depth_valid"][slot_of(rows, "band")]
    area = np.cos((0.5 - (np.arange(LABELS) + 0.5) / LABELS) * np.pi)
    expected = (area @ valid.mean(axis=1)) / area[~OUTSIDE].sum()
    assert coverage["depth"] == pytest.approx(expected, rel=1e-9)
    assert rows[slot_of(rows, "whole")]["figures"]["coverage"]["depth"] == 1


def test_publications_exports_and_points_hold_nothing_else(path: Path, tmp_path: Path) -> None:
    config = load(path)
    publish(config)
    published = open_published(str(path.parent / "store" / "published" / "small"))
    at = published["item"][:].tolist().index("band")
    assert not published["depth_valid"][at][OUTSIDE].any()
    index = export(config, "webdataset", str(tmp_path))
    with tarfile.open(tmp_path / index["shards"][0]["file"]) as tar:
        names = tar.getnames()
        about = {name.split(".")[0]: json.load(tar.extractfile(name)) for name in names if name.endswith(".json")}  # type: ignore[arg-type]
        (key,) = (key for key, value in about.items() if value["item"] == "band")
        for name in (name for name in names if name.startswith(f"{key}.") and name.endswith("_valid.npy")):
            assert not np.load(io.BytesIO(tar.extractfile(name).read()))[OUTSIDE].any(), name  # type: ignore[union-attr]
    (file,) = write_points(config, str(tmp_path / "points"), Solids(), ["band"])["files"]
    assert file["points"] == block_arrays(path, "fuse")[0]["depth_valid"][at].sum()


@pytest.mark.parametrize("one_view", [(), ("depth", "normals")])
def test_black_rows_teach_nothing(path: Path, one_view: tuple[str, ...]) -> None:
    finished = finished_labels(load(path))
    how = ItemSettings(24, augmentation=Augmentation(tilt_degrees=0), derive=deriving(("depth", "normals", "semantics"), 0.1))
    how = ItemSettings(24, how.tasks, augmentation=how.augmentation, derive=how.derive, one_view=one_view)
    data = TrainingData([LabelStore(finished.stage, finished.blocks)], DataSettings(how, 1, threads=1))
    taught = {}
    for epoch in range(3 if one_view else 1):
        for batch in data.batches(epoch):
            assert batch.images.shape == (1, 3, 24, 48)
            for task, label in batch.labels.items():
                rows = label.valid[0, 0].any(dim=-1).numpy()
                if batch.items == ("band",):
                    assert not rows[:6].any(), task
                    assert not rows[18:].any(), task
                    taught[task] = taught.get(task, 0) + int(label.valid.sum())
                elif not one_view:
                    assert rows.all(), task
    assert all(count > 0 for task, count in taught.items() if task != "edge_distance")
    assert set(taught) >= {"depth", "normals", "semantics", *EVERY}


def test_a_student_says_nothing_of_black(path: Path, tmp_path: Path, prefect_api: str) -> None:
    small = {"size": "tiny", "settings": {"bottlenecks": 1, "bridges": False}, "held_out": None, "height": 32, "batch": 1}
    steps = {"steps": 4, "learning_rate": 1e-3, "frozen_steps": 0, "log_every": 1}
    stages = {
        "labels": {"stage": "from", "config": str(path), "of": "fuse"},
        "train": {**small, **steps},
        "ingest": {"source": {"url": str(tmp_path / "images")}},
        "predict": {},
    }
    execution = {"device": "cpu", "runner": {"workers": 2}}
    data = {"name": "student", "root": str(tmp_path / "store"), "stages": stages, "execution": execution}
    (tmp_path / "student.yaml").write_text(yaml.safe_dump(data, sort_keys=False))
    write_parts(tmp_path / "images")
    run_pipeline(load(tmp_path / "student.yaml"))
    arrays, rows = block_arrays(tmp_path / "student.yaml", "predict")
    band, whole, sliver = (slot_of(rows, name) for name in ("band", "whole", "sliver"))
    assert "no pixel of it was photographed whole" in rows[sliver]["reason"]
    for name in arrays:
        assert not arrays[name][band][OUTSIDE].any(), name
    for name in ("depth", "normals", "semantics"):
        assert arrays[f"{name}_valid"][band][~OUTSIDE].all()
        assert arrays[f"{name}_valid"][whole].all()
        assert rows[band]["figures"][f"{name}_valid"] == 1
