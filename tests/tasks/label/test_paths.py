"""The device's path through the real stages, run by Triton's interpreter: the labels of numpy, and what receipts say of it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from configs.execution import Execution
from storage.arrays import BlockReader
from storage.items import Block
from storage.receipts import read_receipt
from tasks.label import paths
from tasks.label.paths import fuse_path
from tasks.pipeline import stages
from tasks.stage.job import Job
from tests.support.pipelines import load, make_owed, write_panoramas

pytest.importorskip("triton", reason="needs Triton: pip install panolabel[device]")

LAYOUT = {"kind": "icosahedron", "fov_degrees": 80}


@pytest.fixture(autouse=True)
def _as_users_have_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests of the kernels set the variable for their whole process."""
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)


@pytest.fixture
def interpreted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kernels are made when they are first imported, in the form that the variable asks for."""
    monkeypatch.setenv("TRITON_INTERPRET", "1")


def written(folder: Path, fuse: dict[str, Any] | None = None, layout: dict[str, Any] | None = None, **label: Any) -> Path:
    """A pipeline of the network that ships with panolabel, over two panoramas."""
    write_panoramas(folder / "images", ["p00", "p01"])
    teacher = {
        "stage": "label",
        "kind": "transformers",
        "fields": ["depth", "normals", "semantics"],
        "settings": {"model": "demo"},
    }
    stages = {
        "ingest": {"source": {"url": str(folder / "images")}, "block_size": 2},
        "project": {"layout": layout or LAYOUT, "patch_size": 32},
        "dense": teacher | label,
        "fuse": {"height": 32, "depth_edge": 0.3, **(fuse or {})},
    }
    path = folder / "dense.yaml"
    path.write_text(yaml.safe_dump({"name": "dense", "root": str(folder / "store"), "stages": stages}, sort_keys=False))
    return path


def fused(path: Path, **overrides: Any) -> tuple[dict[str, Any], list[dict[str, np.ndarray]], list[Any]]:
    """What the receipt says of the making, and the labels and rows of all panoramas."""
    make_owed(load(path, **overrides))
    (file,) = (path.parent / "store/stages/fuse").rglob("receipt.json")
    receipt = read_receipt(str(file.parent))
    assert receipt is not None
    reader = BlockReader(str(file.parent), receipt.files)
    return dict(receipt.made), [reader.item(slot) for slot in range(len(receipt.items))], list(receipt.items)


def dropped(folder: Path) -> dict[str, Any]:
    (file,) = (folder / "store/stages/label.dense").rglob("dropped.json")
    return dict(json.loads(file.read_text()))


def assert_alike(found: list[dict[str, np.ndarray]], wanted: list[dict[str, np.ndarray]]) -> None:
    """Within the tolerances of the path, in the types of the store: float16 distances, int8 normals."""
    assert len(found) == len(wanted)
    for own, other in zip(found, wanted, strict=True):
        assert own.keys() == other.keys()
        for name, array in other.items():
            assert own[name].dtype == array.dtype
            off = np.abs(own[name].astype(np.float64) - array)
            if name == "depth":  # a distance within 1e-6 may round to the next float16
                assert (off / np.maximum(array, 1e-6)).max() < 1e-3
            elif name == "normals" or name.endswith(("consistency", "confidence", "agreement")):
                assert off.max() <= 1
            assert (off > 0).mean() <= (1e-2 if name == "depth" else 1e-3 if name == "normals" else 1e-4), name


ENFORCE = {"depth": "blend", "depth_normal": "enforce"}


@pytest.mark.parametrize(("keep", "fuse"), [("never", {}), ("always", ENFORCE)], ids=["joined", "stored"])
def test_labels_and_receipts_are_those_of_numpy(tmp_path: Path, request: pytest.FixtureRequest, keep: str, fuse: dict) -> None:
    made, wanted, rows = fused(written(tmp_path / "numpy", fuse), dense__keep=keep)
    assert (made["path"], made["device"]) == ("numpy", "cpu")
    request.getfixturevalue("interpreted")
    on_device, found, own_rows = fused(written(tmp_path / "device", fuse), dense__keep=keep)
    assert (on_device["path"], on_device["device"]) == ("device", "cpu")
    assert_alike(found, wanted)
    for own, row in zip(own_rows, rows, strict=True):
        assert own.state == row.state == "done"
        plain = {name: value for name, value in row.figures.items() if name != "classes"}
        assert {name: own.figures[name] for name in plain} == pytest.approx(plain, abs=2e-4)
        assert own.figures["classes"] == row.figures["classes"]
    if keep == "never":
        ours, theirs = dropped(tmp_path / "device"), dropped(tmp_path / "numpy")
        assert ours["about"] == theirs["about"]
        assert [one["figures"] for one in ours["items"]] == [one["figures"] for one in theirs["items"]]
        assert all(one["digest"] for one in ours["items"]), "of what it was made from, since no array was on the host"
        assert [one["digest"] for one in ours["items"]] != [one["digest"] for one in theirs["items"]]


@pytest.mark.parametrize(
    ("fuse", "layout", "label"),
    [
        ({"depth": "gradient"}, None, {}),
        ({}, None, {"rotations": 1}),
        ({}, {"kind": "random", "count": 4}, {}),
        ({}, {"kind": "rings", "views_per_ring": 40, "fov_degrees": 120}, {}),
    ],
    ids=["gradient", "rotations", "random", "crowded"],
)
@pytest.mark.usefixtures("interpreted")
def test_what_kernels_do_not_do_is_left_to_numpy(tmp_path: Path, fuse: dict, layout: dict | None, label: dict) -> None:
    (stage,) = (one for one in stages(load(written(tmp_path, fuse, layout, **label))) if one.key == "fuse")
    job = Job(stage, Block(0, ()), "test", Execution(device="cpu"))
    assert fuse_path(job, [*stage.stages("labels"), *stage.stages("turned")]).name == "numpy"


@pytest.mark.usefixtures("interpreted")
def test_the_path_is_taken_where_kernels_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from geometry.device import launching

    def no_compiler(*_arguments: object, **_named: object) -> None:
        raise RuntimeError("Failed to find C compiler.")

    (stage,) = (one for one in stages(load(written(tmp_path))) if one.key == "fuse")
    job = Job(stage, Block(0, ()), "test", Execution())
    assert fuse_path(job, stage.stages("labels")).name == "device"
    monkeypatch.delenv("TRITON_INTERPRET")
    assert fuse_path(job, stage.stages("labels")).name == "numpy", "there is no GPU"
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    with monkeypatch.context() as broken:
        broken.setattr(paths, "_refused", paths._refused.__wrapped__)
        broken.setattr("geometry.device.launching.launched", no_compiler)
        launching.refusal.cache_clear()
        assert fuse_path(job, stage.stages("labels")).name == "numpy", "kernels cannot be made"
        assert "Failed to find C compiler" in caplog.text
    launching.refusal.cache_clear()
    monkeypatch.setitem(sys.modules, "triton", None)
    assert fuse_path(job, stage.stages("labels")).name == "numpy", "there is no Triton"


@pytest.mark.usefixtures("interpreted")
@pytest.mark.parametrize("label", ["depth", "semantics", "normals_consistency"])
def test_a_device_that_fuses_otherwise_is_not_used(
    tmp_path: Path, label: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from geometry.device import trial

    fuse = trial.fuse_on_device

    def off(*arguments: Any) -> dict[str, Any]:
        found = fuse(*arguments)
        found[label].view(-1)[:100] += 2
        return found

    (stage,) = (one for one in stages(load(written(tmp_path))) if one.key == "fuse")
    monkeypatch.setattr(paths, "_refused", paths._refused.__wrapped__)
    monkeypatch.setattr(trial, "disagreement", trial.disagreement.__wrapped__)
    monkeypatch.setattr(trial, "fuse_on_device", off)
    assert fuse_path(Job(stage, Block(0, ()), "test", Execution()), stage.stages("labels")).name == "numpy"
    assert f"fuses {label} of a small panorama otherwise" in caplog.text
