"""``panolabel infer``: pictures of one's own to files of labels, once."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml
from typer.testing import CliRunner

from flows.cli import app
from tests.models.teachers.panoramic.checkpoints import write_checkpoint
from tests.support.commands import panolabel
from tests.support.pipelines import write_panoramas

SETTINGS = ("project.patch_size=48", "execution.runner.workers=1", "execution.pictures=1")
SMALL = ["--height", "32", *(word for one in SETTINGS for word in ("--set", one))]


@pytest.fixture
def pictures(tmp_path: Path) -> list[str]:
    write_panoramas(tmp_path / "mine", ["p0", "p1"])
    return [str(tmp_path / "mine" / f"{name}.png") for name in ("p0", "p1")]


def refused(*arguments: str) -> str:
    """What a command line is told that cannot be carried out, in this process: nothing runs."""
    done = CliRunner().invoke(app, ["infer", *arguments])
    assert type(done.exception).__name__ == "ConfigError", done.output
    return str(done.exception)


def test_pictures_become_files_of_labels_once(tmp_path: Path, pictures: list[str], prefect_api: str) -> None:
    out = tmp_path / "out"
    done = panolabel("infer", pictures[0], "--out", out, *SMALL, PREFECT_API_URL=prefect_api)
    assert (done.returncode, "labels of 1 panoramas, 4 files" in done.stdout) == (0, True), done.stderr
    index = json.loads((out / "labels" / "labels.json").read_text())
    assert index["items"].keys() == {"p0"}
    assert all((out / "labels" / file).is_file() for file in index["items"]["p0"]["files"])
    assert np.load(out / "labels" / "p0" / "depth.npy").shape == (32, 64)
    again = panolabel("infer", pictures[0], "--out", out, *SMALL, "--to", "pager", PREFECT_API_URL=prefect_api)
    assert (again.returncode, "othing to" in again.stdout) == (0, True), again.stdout
    assert [path.name for path in (out / "labels" / "depth" / "preds").iterdir()] == ["p0.npz"]
    assert not list((out / "labels").glob("p0/*")), "files of the first layout are gone"


@pytest.mark.slow
def test_a_network_of_six_faces_is_asked_with_its_views(tmp_path: Path, pictures: list[str], prefect_api: str) -> None:
    weights, out = write_checkpoint(tmp_path / "weights", without=("normals",)), tmp_path / "out"
    chosen = ["--model", weights, "--scene", "indoor"]
    done = panolabel("infer", *pictures, "--out", out, *chosen, *SMALL, PREFECT_API_URL=prefect_api)
    assert done.returncode == 0, done.stderr
    stages = yaml.safe_load((out / "infer.yaml").read_text())["stages"]
    layout = {"kind": "cubemap", "fov_degrees": 91.0323}
    assert stages["faces"] == {"stage": "project", "layout": layout, "patch_size": 56, "antialias": False}
    assert stages["geometry"]["fields"] == ["depth", "sky"]
    assert (out / "labels" / "p1" / "semantics.png").is_file()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (["--scene", "indoor"], "has one scale"),
        (["--to", "tiff"], "plain files are written as files or pager"),
        (["--points", "obj"], "points, surfaces and projects are written as"),
        (["--model", "nowhere/at/all"], "--model nowhere/at/all: model: there is no folder"),
    ],
)
def test_mistakes_are_told_before_anything_is_written(tmp_path: Path, pictures: list[str], change: list[str], told: str) -> None:
    assert told in refused(pictures[0], "--out", str(tmp_path / "out"), *change)
    assert not (tmp_path / "out" / "stages").exists()


def test_pictures_that_are_no_panoramas_are_refused_with_the_fix(tmp_path: Path, pictures: list[str]) -> None:
    cv2.imwrite(str(tmp_path / "square.png"), np.zeros((64, 64, 3), np.uint8))
    told = refused(pictures[0], str(tmp_path / "square.png"), "--out", str(tmp_path / "out"))
    assert "square.png: 64x64 is not 2:1" in told
    assert "twice as wide as high" in told
    assert "there is no such picture" in refused(str(tmp_path / "gone.png"), "--out", str(tmp_path / "out"))
    done = panolabel("infer", tmp_path / "square.png", "--out", tmp_path / "out")
    assert (done.returncode, "is not 2:1" in done.stderr) == (2, True)
