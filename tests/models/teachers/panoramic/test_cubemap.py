"""The teacher of a cubemap network: what it says against numpy, its views, which scale head is believed, and refusals."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from geometry.layouts import cubemap
from models.cubemap.checkpoint import load_network
from models.cubemap.configuration import face_cameras
from models.cubemap.network import normalised
from models.teachers import load_teacher, sees, wanted_views, weights_digest
from tests.models.cubemap.test_router import write_clip
from tests.models.teachers.panoramic.checkpoints import write_checkpoint


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_checkpoint(tmp_path_factory.mktemp("cubemap"))


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    (folder := tmp_path / "clip").mkdir()
    return write_clip(folder, 200)


def faces() -> np.ndarray:
    return np.random.default_rng(5).integers(0, 256, (6, 56, 56, 3)).astype(np.uint8)


def settings(folder: Path, **more: object) -> dict[str, object]:
    return {"model": str(folder), **more}


def test_what_it_says_is_what_the_network_says_in_metres_and_in_the_world(checkpoint: Path) -> None:
    cameras = wanted_views("cubemap", settings(checkpoint)).cameras
    teacher = load_teacher("cubemap", settings(checkpoint, scene="outdoor"), "cpu")
    said = teacher(faces(), cameras, {})
    assert (sees("cubemap"), teacher.fields) == ("views", ("depth", "normals", "sky"))
    network = load_network(checkpoint)
    with torch.no_grad():
        raw = network(normalised(torch.from_numpy(faces()), network.config)[None], cameras)
    log_z, log_m = raw.log_depth[0].numpy().astype(float), raw.log_metric["outdoor"][0].numpy().astype(float)
    cells = log_z.reshape(6, 14, 4, 14, 4).mean(axis=(2, 4))
    differences = np.sort((log_m - cells).ravel())
    log_scale = differences[(len(differences) - 1) // 2]
    along = np.stack([camera.rays()[..., 2] for camera in cameras])
    expected = np.exp(log_scale) * np.exp(np.clip(log_z, np.log(0.01), np.log(75))) / along
    np.testing.assert_allclose(said["depth"].values, expected, rtol=1e-4)
    assert (said["depth"].unit, said["depth"].frame) == ("metre", "ray")
    assert said["depth"].notes["log_scale"] == pytest.approx(log_scale, abs=1e-5)
    assert set(said["depth"].notes) == {"log_scale", "scale_spread", "sky_share"}
    forward, up, left = np.moveaxis(raw.normals[0].numpy(), 1, 0)
    world = np.stack([-left, -up, forward], axis=-1)
    np.testing.assert_allclose(said["normals"].values, world / np.linalg.norm(world, axis=-1, keepdims=True), atol=1e-5)
    np.testing.assert_allclose(said["depth"].confidence, 1 - 1 / raw.confidence[0].numpy(), atol=1e-6)


def test_its_views_are_the_faces_of_the_checkpoint(checkpoint: Path) -> None:
    wanted = wanted_views("cubemap", settings(checkpoint))
    fov = np.degrees(2 * np.arctan(56 / 55))
    assert wanted.words == f"layout: {{kind: cubemap, fov_degrees: {fov:.4f}}}, patch_size: 56, antialias: false"
    assert [one.matrix.tolist() for one in wanted.cameras] == [one.matrix.tolist() for one in cubemap(56)]


def test_without_a_scale_head_one_factor_is_unknown(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path, without=("scale_indoor", "scale_outdoor", "normals"))
    teacher = load_teacher("cubemap", settings(folder), "cpu")
    said = teacher(faces(), wanted_views("cubemap", settings(folder)).cameras, {})
    assert set(said) == {"depth", "sky"}
    assert said["depth"].unit == "shared"
    assert set(said["depth"].notes) == {"sky_share"}


def test_the_scene_is_told_by_the_sky_or_by_clip(checkpoint: Path, clip: Path) -> None:
    cameras = wanted_views("cubemap", settings(checkpoint)).cameras
    stated = {
        scene: load_teacher("cubemap", settings(checkpoint, scene=scene), "cpu")(faces(), cameras, {})["depth"]
        for scene in ("indoor", "outdoor")
    }
    assert stated["indoor"].notes["log_scale"] != stated["outdoor"].notes["log_scale"]
    for more in ({}, {"router": {"model": str(clip)}}):
        said = load_teacher("cubemap", settings(checkpoint, **more), "cpu")(faces(), cameras, {})["depth"]
        scene = "outdoor" if said.notes["p_outdoor"] >= 0.5 else "indoor"
        np.testing.assert_array_equal(said.values, stated[scene].values)
        assert (said.notes["p_outdoor"] in (0, 1)) == (not more)


def test_turned_faces_of_a_turned_world_say_the_same(checkpoint: Path) -> None:
    """Asked through faces that are turned by 90 degrees, it says the same of what it sees, but for the world's frame."""
    cameras = wanted_views("cubemap", settings(checkpoint)).cameras
    teacher = load_teacher("cubemap", settings(checkpoint, scene="indoor"), "cpu")
    quarter = np.array([[0.0, 0, 1], [0, 1, 0], [-1, 0, 0]])
    turned = tuple(type(one).from_matrix(one.width, one.height, one.fov, quarter @ one.matrix) for one in cameras)
    plain, other = teacher(faces(), cameras, {}), teacher(faces(), turned, {})
    np.testing.assert_allclose(other["depth"].values, plain["depth"].values, rtol=1e-4)
    np.testing.assert_allclose(other["normals"].values, plain["normals"].values @ quarter.T, atol=1e-4)


def test_weights_config_and_router_are_what_it_knows(checkpoint: Path, clip: Path, tmp_path: Path) -> None:
    own = weights_digest("cubemap", settings(checkpoint))
    assert own == weights_digest("cubemap", settings(checkpoint, scene="indoor", router={"model": str(clip)}))
    assert own != weights_digest("cubemap", settings(checkpoint, router={"model": str(clip)}))
    other = write_checkpoint(tmp_path / "other")
    assert own == weights_digest("cubemap", settings(other))
    (other / "config.yaml").write_text((other / "config.yaml").read_text() + "cube_fov: 91\n")
    assert own != weights_digest("cubemap", settings(other))


def test_conventions_can_be_stated(checkpoint: Path) -> None:
    cameras = face_cameras(load_network(checkpoint).config)
    right, left = (
        load_teacher("cubemap", settings(checkpoint, conventions={"normal_axes": axes}), "cpu")(faces(), cameras, {})["normals"]
        for axes in ("forward-up-right", "forward-up-left")
    )
    np.testing.assert_allclose(right.values * [-1, 1, 1], left.values, atol=1e-6)


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"scene": "underwater"}, "scene: Input should be 'auto', 'indoor' or 'outdoor'"),
        ({"scenes": "auto"}, "scenes: unknown key; did you mean 'scene'?"),
        ({"sky": {"opening": 4}}, "sky.opening: must be an odd number of pixels"),
        ({"model": "prs-eth/PaGeR"}, "needs a pinned commit"),
        ({"model": "nowhere/at/all"}, "there is no folder"),
    ],
)
def test_mistakes_are_told(checkpoint: Path, more: dict, told: str) -> None:
    with pytest.raises((ValueError, FileNotFoundError)) as caught:
        weights_digest("cubemap", settings(checkpoint) | more)
    assert told in str(caught.value)


def test_two_scale_heads_need_something_to_choose_by(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path, without=("sky",))
    with pytest.raises(ValueError, match="write indoor or outdoor, or name a `router`"):
        load_teacher("cubemap", settings(folder), "cpu")
    one = write_checkpoint(tmp_path / "one", without=("scale_outdoor",))
    with pytest.raises(ValueError, match="only for indoor scenes, not outdoor"):
        load_teacher("cubemap", settings(one, scene="outdoor"), "cpu")
