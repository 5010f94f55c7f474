"""``panolabel points``: finished labels of a real store in every format, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import laspy
import numpy as np
import pytest
import trimesh

from configs.settings import ConfigError
from flows.publishing import points
from tasks.solids.formats import FORMATS
from tasks.solids.poses import Pose
from tests.support.commands import in_process
from tests.support.pipelines import load, make_owed, write_pipeline


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = write_pipeline(tmp_path_factory.mktemp("points"), 2)
    make_owed(load(path))
    return path


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> Callable[..., tuple[int, str, str]]:
    """The command line; ``points`` asks no server."""
    return partial(in_process, monkeypatch, capsys)


@pytest.mark.parametrize("to", FORMATS)
def test_every_format_is_a_file_a_panorama(path: Path, tmp_path: Path, run: Callable, to: str) -> None:
    code, out, errors = run("points", path, tmp_path, "--to", to, "--item", "p01", "--json")
    assert code == 0, errors
    (told,) = json.loads(out)["files"]
    assert (told["item"], told["file"], told["coloured"]) == ("p01", str(tmp_path / f"p01.{to}"), True)
    assert told.get("points", 0) + told.get("triangles", 0) > 1000
    assert [one.name for one in tmp_path.iterdir()] == [f"p01.{to}"]


def test_classes_of_the_vocabulary_reach_the_file(path: Path, tmp_path: Path, run: Callable) -> None:
    assert run("points", path, tmp_path, "--to", "laz", "--max-incidence", "90")[0] == 0
    las = laspy.read(tmp_path / "p00.laz")
    assert set(np.unique(np.asarray(las.classification))) <= {1, 64, 65}
    assert las.header.vlrs.get("ClassificationLookupVlr")[0].lookups == {64: "dark", 65: "bright"}


def test_the_limit_and_the_number_of_points_are_obeyed(path: Path, tmp_path: Path, run: Callable) -> None:
    assert run("points", path, tmp_path, "--max-incidence", "90", "--item", "p00")[0] == 0
    assert len(trimesh.load(tmp_path / "p00.ply").vertices) == 32 * 64
    assert run("points", path, tmp_path, "--max-points", "200", "--item", "p00")[0] == 0
    assert 120 < len(trimesh.load(tmp_path / "p00.ply").vertices) < 280


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (("--to", "obj"), "points, surfaces and projects are written as ply, glb, mesh.ply"),
        (("--max-incidence", "91"), "90 tears nothing"),
        (("--max-points", "0"), "at least 1"),
        (("--item", "p02"), "did you mean"),
    ],
)
def test_what_cannot_be_written_is_refused(path: Path, tmp_path: Path, run: Callable, given: tuple[str, str], told: str) -> None:
    code, _, errors = run("points", path, tmp_path, *given)
    assert (code, told in errors) == (2, True), errors
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("given", [("--together",), ("--to", "colmap"), ("--to", "nerfstudio")])
def test_panoramas_without_a_place_do_not_become_one_model(
    path: Path, tmp_path: Path, run: Callable, given: tuple[str, ...]
) -> None:
    code, _, errors = run("points", path, tmp_path, *given)
    assert (code, "2 of 2 panoramas do not say where they stood (p00, p01)" in errors) == (2, True), errors
    assert not list(tmp_path.iterdir())
    code, out, errors = run("points", path, tmp_path, *given, "--item", "p01", "--json")  # one alone may stand anywhere
    assert code == 0, errors
    assert json.loads(out)["files"][0]["items"] == ["p01"]


def test_depth_without_a_scale_does_not_fit_together() -> None:
    poses = {"a": Pose(), "b": Pose()}
    points._refuse_what_does_not_fit(poses, "metre")
    with pytest.raises(ConfigError, match="several do not fit together"):
        points._refuse_what_does_not_fit(poses, "scale")
    with pytest.raises(ConfigError, match="rename one"):
        points._refuse_what_does_not_fit({"a b": Pose(), "a_b": Pose()}, "metre")


def test_a_library_that_is_not_there_is_named(path: Path, tmp_path: Path, run: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(points.NEEDS, "laz", ("no_such_library", "panolabel[las]"))  # type: ignore[index]
    code, _, errors = run("points", path, tmp_path, "--to", "laz")
    assert (code, "pip install 'panolabel[las]'" in errors) == (2, True)
