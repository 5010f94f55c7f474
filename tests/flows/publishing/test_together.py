"""Two panoramas of one room, from two places and headings, become one model that fits the room."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import cv2
import laspy
import numpy as np
import pycolmap
import pytest
import trimesh
import yaml

from scenes.build import build_scene
from scenes.render import cast, render_erp
from tests.support.commands import in_process
from tests.support.pipelines import load, make_owed

SEED, HEIGHT = 72000, 48
HEADINGS = {"one": 0.4, "two": 2.5}
SCENE = build_scene("room", SEED)
SPOTS = dict(zip(HEADINGS, (SCENE.spots[0], SCENE.spots[np.linalg.norm(SCENE.spots - SCENE.spots[0], axis=1).argmax()])))


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("together")
    (folder / "images").mkdir()
    for name, heading in HEADINGS.items():
        image = render_erp(SCENE, SPOTS[name], HEIGHT, 2 * HEIGHT, heading=heading).image
        cv2.imwrite(str(folder / "images" / f"{name}.png"), image[..., ::-1])
        capture = {"scene": "room", "seed": SEED, "position": SPOTS[name].tolist(), "heading": heading}
        (folder / "images" / f"{name}.json").write_text(json.dumps(capture))
    return write_config(folder)


def write_config(folder: Path) -> Path:
    stages = {
        "ingest": {"source": {"url": str(folder / "images")}},
        "project": {"patch_size": 40, "layout": {"kind": "cubemap", "fov_degrees": 100}},
        "truth": {"stage": "label", "kind": "scenes", "fields": ["depth", "normals", "semantics", "sky"]},
        "fuse": {"height": HEIGHT},
    }
    path = folder / "room.yaml"
    path.write_text(yaml.safe_dump({"name": "room", "root": str(folder / "store"), "stages": stages}, sort_keys=False))
    make_owed(load(path))
    return path


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> Callable[..., tuple[int, str, str]]:
    """The command line; ``points`` asks no server."""
    return partial(in_process, monkeypatch, capsys)


def in_the_air(points: np.ndarray) -> tuple[float, float]:
    """Of world points: the share that hangs before what there is to see from either place, and that which both see."""
    hanging, seen = [], []
    for spot in SPOTS.values():
        away = np.linalg.norm(points - spot, axis=1)
        hit = cast(SCENE, spot, (points - spot) / away[:, None]).distance
        hanging.append(hit > 1.05 * away)
        seen.append(np.abs(hit - away) < 0.05 * away)
    return float(np.any(hanging, axis=0).mean()), float(np.all(seen, axis=0).mean())


@pytest.mark.parametrize(
    ("to", "back"),
    [
        ("ply", np.eye(3)),
        ("glb", np.diag([1, -1, -1])),
        ("mesh.ply", np.eye(3)),
        ("mesh.glb", np.diag([1, -1, -1])),
        ("splat.ply", np.eye(3)),
        ("laz", np.array([[1, 0, 0], [0, 0, -1], [0, 1, 0]])),
    ],
)
def test_a_model_of_both_fits_the_room(path: Path, tmp_path: Path, run: Callable, to: str, back: np.ndarray) -> None:
    code, out, errors = run("points", path, tmp_path, "--to", to, "--together", "--json")
    assert code == 0, errors
    (told,) = json.loads(out)["files"]
    assert (told["items"], told["file"], told["coloured"]) == (["one", "two"], str(tmp_path / f"room.{to}"), True)
    data = (tmp_path / f"room.{to}").read_bytes()
    if to == "laz":
        points = laspy.read(io.BytesIO(data)).xyz
    else:
        loaded = trimesh.load(io.BytesIO(data), file_type=to.split(".")[-1], process=False)
        parts = loaded.geometry.values() if isinstance(loaded, trimesh.Scene) else [loaded]
        points = np.concatenate([np.asarray(part.vertices) for part in parts])
    assert told.get("points", len(points)) == len(points)
    hanging, seen = in_the_air(points @ back.T)
    assert hanging < 0.05
    assert seen > 0.6


def test_without_its_heading_it_would_not(path: Path, tmp_path: Path, run: Callable) -> None:
    """The check above sees a wrong pose: each panorama about its own camera, as files of their own are."""
    assert run("points", path, tmp_path)[0] == 0
    assert sorted(one.name for one in tmp_path.iterdir()) == ["one.ply", "two.ply"]
    points = np.concatenate([np.asarray(trimesh.load(tmp_path / f"{name}.ply").vertices) + SPOTS[name] for name in SPOTS])
    assert in_the_air(points)[0] > 0.2


def test_a_project_for_colmap_has_the_poses_and_the_room(path: Path, tmp_path: Path, run: Callable) -> None:
    code, out, errors = run("points", path, tmp_path, "--to", "colmap", "--max-points", "2000")
    assert code == 0, errors
    assert "12 pictures" in out
    assert "of 2 panoramas" in out
    model = pycolmap.Reconstruction(tmp_path / "sparse" / "0")
    assert (model.num_frames(), model.num_images()) == (2, 12)
    for frame, (name, heading) in zip((model.frame(1), model.frame(2)), HEADINGS.items()):
        world = frame.rig_from_world.inverse()
        np.testing.assert_allclose(world.translation, SPOTS[name], atol=1e-9)
        forward = world.rotation.matrix() @ [0, 0, 1]
        np.testing.assert_allclose(forward, [np.sin(heading), 0, np.cos(heading)], atol=1e-9)
    hanging, seen = in_the_air(np.stack([point.xyz for point in model.points3D.values()]))
    assert hanging < 0.05
    assert seen > 0.6
    assert all((tmp_path / "images" / image.name).exists() for image in model.images.values())


def test_a_data_set_for_nerfstudio_has_both(path: Path, tmp_path: Path, run: Callable) -> None:
    assert run("points", path, tmp_path, "--to", "nerfstudio")[0] == 0
    about = json.loads((tmp_path / "transforms.json").read_text())
    assert len(about["frames"]) == 12
    points = np.asarray(trimesh.load(tmp_path / about["ply_file_path"]).vertices)
    assert in_the_air(points @ np.array([[1, 0, 0], [0, 0, -1], [0, 1, 0]]).T)[0] < 0.05
