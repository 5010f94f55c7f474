"""``import panolabel`` over a real pipeline whose labels are known in closed form: run, planned and read inside an event loop."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
from importlib.resources import files
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

import panolabel
from configs.settings import ConfigError
from flows.publishing.publish import publish
from flows.reading.absent import NotThere
from flows.stores.finished import NotFinished
from geometry.directions import erp_directions
from storage.receipts import blocks_with_receipts
from tasks.stage.job import BadItem
from tests.support.pipelines import load, write_pipeline

ROOT = Path(__file__).parents[2]
GREY = {"p00": 51, "p01": 204}
"""Panoramas of one grey each: the teacher says (1 + grey / 255) * 2 metres, looks at the camera, and calls it dark or bright."""


def in_a_loop(call: Any) -> Any:
    """What a call gives where an event loop is running, as in a notebook."""

    async def cell() -> Any:
        return call()

    return asyncio.run(cell())


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory, prefect_api: str) -> Path:
    """The pipeline, of which ``fuse`` and what it is made from was run; p02 is no image."""
    path = write_pipeline(tmp_path_factory.mktemp("calls"), 3)
    for name, grey in GREY.items():
        cv2.imwrite(str(path.parent / "images" / f"{name}.png"), np.full((48, 96, 3), grey, np.uint8))
    (path.parent / "images" / "p02.png").write_bytes(b"no image")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PREFECT_API_URL", prefect_api)
        record = in_a_loop(lambda: panolabel.run(path, ["fuse"], quiet=True))
    assert record["state"] == "completed"
    return path


@pytest.fixture(scope="module")
def store(path: Path) -> panolabel.Store:
    found = panolabel.open(path)
    assert isinstance(found, panolabel.Store)
    return found


def test_only_the_stages_that_were_named_ran_and_what_they_need(path: Path) -> None:
    rows = {one.stage: (one.cached, one.to_run) for one in in_a_loop(lambda: panolabel.plan(path)).stages}
    assert rows == {
        "ingest": (3, 0),
        "project": (1, 0),
        "geometry": (1, 0),
        "classes": (1, 0),
        "fuse": (1, 0),
        "evaluate": (0, 1),
    }
    assert in_a_loop(lambda: panolabel.run(path, ["classes"], quiet=True))["state"] == "nothing to run"


def test_files_of_other_panoramas_are_left_alone(path: Path, prefect_api: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two sources only that one is read which the named stage needs."""
    monkeypatch.setenv("PREFECT_API_URL", prefect_api)
    other = path.with_name("two.yaml")
    told = path.read_text().replace("name: small", "name: two")
    source = f"{{stage: ingest, source: {{url: {path.parent / 'images'}}}, min_width: 32}}"
    other.write_text(told.replace("stages:", f"stages:\n  early: {source}"))
    assert panolabel.run(other, ["fuse"], quiet=True, root=path.parent / "two")["state"] == "completed"
    plan = panolabel.plan(other, root=path.parent / "two")
    owed = {one.stage: one.to_run for one in plan.stages if one.to_run}
    assert owed == {"early": 3, "evaluate": 1}


def test_some_panoramas_are_tried_as_on_the_command_line(path: Path, prefect_api: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_API_URL", prefect_api)
    root = path.parent / "tried"
    record = panolabel.run(path, stages=["fuse"], limit=1, quiet=True, root=root)
    assert record["trial"]["options"] == "--limit 1 --until fuse"
    plan = panolabel.plan(path, ["fuse"], items=["p00", "p01"], root=root)
    assert str(plan).startswith("Plan of a trial: --items p00 --items p01 --until fuse")
    assert {one.stage: one.items for one in plan.stages} == {
        "ingest": 1, "project": 1, "geometry": 1, "classes": 1, "fuse": 1
    }  # fmt: skip
    for choice, told in (({"limit": 0}, "limit"), ({"items": []}, "leave it out"), ({"split": "test"}, "chooses no panorama")):
        with pytest.raises(ConfigError, match=told):
            panolabel.plan(path, root=root, **choice)  # type: ignore[arg-type]


@pytest.mark.parametrize(("name", "grey"), GREY.items())
def test_labels_are_what_the_teacher_says(store: panolabel.Store, name: str, grey: int) -> None:
    labels = in_a_loop(lambda: store[name])
    depth = in_a_loop(lambda: labels.depth)
    assert (depth.dtype, depth.shape) == (np.float32, (32, 64))
    np.testing.assert_allclose(depth, (1 + grey / 255) * 2, rtol=1e-3)
    np.testing.assert_allclose(np.linalg.norm(labels.normals, axis=-1), 1, atol=1e-6)
    cosine = (labels.normals * -erp_directions(32, 64)).sum(axis=-1)
    assert np.degrees(np.arccos(cosine.min())) < 7  # patches have 24 pixels on 100 degrees
    assert set(np.take(labels.classes, labels.semantics).ravel()) == {"dark" if grey < 128 else "bright"}
    assert labels.semantics_valid.all()
    assert np.nanmin(labels["depth_consistency"]) > 0.99  # where two views have a say; elsewhere it is NaN
    assert np.isnan(labels["depth_consistency"][labels.views < 2]).all()
    assert (labels.panorama == grey).all()
    assert labels.observed.all()


def test_cameras_are_those_of_the_layout(store: panolabel.Store) -> None:
    cameras = store["p00"].cameras
    axes = np.array([camera.axis for camera in cameras])
    assert {(camera.width, camera.height, round(np.degrees(camera.fov))) for camera in cameras} == {(24, 24, 100)}
    assert {tuple(axis) for axis in np.round(axes).astype(int).tolist()} == {
        *((1, 0, 0), (-1, 0, 0), (0, 1, 0), (0, -1, 0), (0, 0, 1), (0, 0, -1))
    }
    assert (store["p00"].views >= 1).all()


def test_lineage_is_that_of_the_command(path: Path, store: panolabel.Store) -> None:
    command = [sys.executable, "-m", "flows.cli", "trace", str(path), "p00", "--stage", "fuse", "--json"]
    told = subprocess.run(command, capture_output=True, text=True, check=True, env={**os.environ}).stdout
    assert json.loads(json.dumps(store["p00"].lineage())) == json.loads(told)


def test_the_root_alone_tells_the_same_by_the_record_of_the_run(path: Path, store: panolabel.Store) -> None:
    bare = panolabel.open(store.root)
    assert bare.stage("fuse").fingerprint == store.stage("fuse").fingerprint
    np.testing.assert_array_equal(bare["p01"].depth, store["p01"].depth)
    assert bare["p01"].lineage() == store["p01"].lineage()
    assert (bare["p01"].panorama == GREY["p01"]).all()
    assert [one.current for one in bare.stage().versions] == [False]
    assert [one.current for one in store.stage().versions] == [True]


def test_another_setting_has_no_labels_yet_and_says_what_to_run(path: Path, store: panolabel.Store) -> None:
    other = panolabel.open(path, fuse={"edge_feather": 0.4})
    with pytest.raises(NotFinished, match=re.escape("make them with `panolabel run")) as caught:
        _ = other["p00"]
    (command,) = re.findall(r"`panolabel ([^`]+)`", str(caught.value))
    assert command == f"run {path} --set fuse.edge_feather=0.4"
    (version,) = re.findall(r"version\('(\w+)'\)", str(caught.value))
    np.testing.assert_array_equal(other.stage("fuse").version(version)["p00"].depth, store["p00"].depth)


def test_what_was_given_up_and_what_there_is_not(path: Path, store: panolabel.Store) -> None:
    with pytest.raises(NotThere, match="quarantined as it was read: not an image"):
        _ = store["p02"]
    with pytest.raises(NotThere, match="did you mean 'p0"):
        _ = store["p0"]
    with pytest.raises(ConfigError, match="stage project gives views, not labels"):
        _ = store.stage("project")["p00"]
    with pytest.raises(ConfigError, match="did you mean 'fuse'"):
        panolabel.run(path, ["fuze"])
    with pytest.raises(ConfigError, match=re.escape("['fuse']")):
        panolabel.run(path, "fuse")  # type: ignore[arg-type]


def test_a_panorama_that_was_exchanged_is_not_shown_as_the_one_that_was_labelled(path: Path, store: panolabel.Store) -> None:
    file = path.parent / "images" / "p01.png"
    before, when = file.read_bytes(), file.stat()
    file.write_bytes((path.parent / "images" / "p00.png").read_bytes())
    try:
        with pytest.raises(BadItem, match="changed"):
            _ = store["p01"].panorama
        assert "image/png" in store["p01"]._repr_html_()
    finally:
        file.write_bytes(before)
        os.utime(file, ns=(when.st_atime_ns, when.st_mtime_ns))


def test_several_stages_that_give_labels_are_a_choice(path: Path) -> None:
    other = path.with_name("several.yaml")
    told = path.read_text()
    (fuse,) = re.findall(r"^  fuse:\n(?:    .*\n)+", told, re.MULTILINE)
    other.write_text(told.replace(fuse, fuse + fuse.replace("  fuse:\n", "  finer:\n    stage: fuse\n    edge_feather: 0.1\n")))
    other.write_text(other.read_text().replace("  evaluate: {}\n", "  evaluate: {labels: fuse}\n"))
    store = panolabel.open(other)
    with pytest.raises(
        ConfigError, match=re.escape("several stages give labels: fuse, finer; say which one: store.stage('fuse')")
    ):
        _ = store["p00"]
    assert list(store.stage("fuse")) == list(panolabel.open(other, stage="fuse")) == ["p00", "p01"]


def test_what_was_published_reads_alike(path: Path, store: panolabel.Store) -> None:
    config = load(path)
    for to in ("zarr", "icechunk"):
        told = publish(config, to=to)
        url = str(path.parent / "store" / "published" / ("small.icechunk" if to == "icechunk" else "small"))
        published = panolabel.open(url)
        assert (list(published), published.version) == (["p00", "p01"], told["version"])
        assert [one["latest"] for one in published.versions] == [True]
        for name, array in store["p00"].items():
            np.testing.assert_array_equal(published["p00"][name], array)
        assert published["p00"].classes == ("dark", "bright")
        assert published["p00"].figures == store["p00"].figures
        assert published["p00"].lineage()["fingerprints"]["fuse"] == store.stage("fuse").fingerprint
        assert "image/png" in published["p00"]._repr_html_()
        with pytest.raises(NotThere, match="did you mean 'p0"):
            _ = published["p1"]
        with pytest.raises(NotThere, match="a publication holds labels, no pixels"):
            _ = published["p00"].panorama
        with pytest.raises(FileNotFoundError, match="no version 12"):
            panolabel.open(url, version="12")


def test_a_plan_is_shown_as_the_table_of_the_command(path: Path) -> None:
    plan = panolabel.plan(path, fuse={"edge_feather": 0.4})
    shown = str(plan)
    assert "fuse.edge_feather: 0.2 -> 0.4" in shown
    assert repr(plan) == shown
    assert "<td>fuse.edge_feather: 0.2 -&gt; 0.4</td>" in plan._repr_html_()
    assert plan.anything_to_run
    same = panolabel.plan(path, **{"fuse.edge_feather": 0.4})
    assert [one.fingerprint for one in same.stages] == [one.fingerprint for one in plan.stages]


def test_the_lines_of_the_readme_run(path: Path, prefect_api: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_API_URL", prefect_api)
    text = (ROOT / "README.md").read_text()
    (code,) = re.findall(r"In Python:\n\n```python\n(.*?)```", text, re.DOTALL)
    told: dict[str, Any] = {}
    in_a_loop(lambda: exec(code.replace("configs/street.yaml", str(path)).replace("room_90000", "p00"), told))
    np.testing.assert_allclose(told["depth"], (1 + GREY["p00"] / 255) * 2, rtol=1e-3)


def test_importing_it_imports_nothing_else_and_it_is_typed() -> None:
    code = "import panolabel, sys; print([name for name in ('flows', 'tasks', 'zarr', 'torch') if name in sys.modules])"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT).stdout
    assert told.strip() == "[]"
    assert files("panolabel").joinpath("py.typed").is_file()
    assert sorted(dir(panolabel)) == sorted(panolabel.__all__)
    for name in panolabel.__all__:
        assert callable(getattr(panolabel, name))
    with pytest.raises(AttributeError, match="has no attribute 'opne'"):
        _ = panolabel.opne  # type: ignore[attr-defined]


def test_a_run_that_is_asked_for_by_root_leaves_the_file_s_own_store_alone(path: Path, tmp_path: Path) -> None:
    plan = panolabel.plan(path, root=tmp_path / "elsewhere")
    assert plan.anything_to_run
    assert not (tmp_path / "elsewhere").exists()
    assert blocks_with_receipts(str(path.parent / "store"), "fuse", panolabel.open(path).stage("fuse").fingerprint)
