"""Faces hold what lies in their directions, and stay true when a camera turns or the world is mirrored."""

from pathlib import Path

import numpy as np
import pytest

from geometry.layouts import cubemap
from scenes.build import build_scene
from scenes.render import render
from scenes.training_faces import Faces, load_faces, mirrored, render_scene_faces, turned

SIZE = 16
DIRECTIONS = np.stack([camera.directions() for camera in cubemap(SIZE)])


def directed() -> Faces:
    """A panorama whose pixels hold their own directions, in every array that can."""
    vectors = np.round(DIRECTIONS * 127).astype(np.int8)[None]
    return Faces((vectors.astype(np.int16) + 128).astype(np.uint8), DIRECTIONS[None, ..., 1].astype(np.float16), vectors)


@pytest.mark.parametrize("quarters", range(-1, 5))
def test_vectors_of_a_turned_panorama_point_where_its_pixels_lie(quarters: int) -> None:
    found = turned(directed(), quarters)
    np.testing.assert_allclose(found.normals[0] / 127, DIRECTIONS, atol=5e-3)
    np.testing.assert_allclose(found.depth[0], DIRECTIONS[..., 1], atol=1e-3, err_msg="what does not turn with the camera")
    seen = found.image[0].astype(float) - 128
    ahead = np.array([np.sin(quarters * np.pi / 2), 0, np.cos(quarters * np.pi / 2)])
    middle = seen[0, SIZE // 2 - 1 : SIZE // 2 + 1, SIZE // 2 - 1 : SIZE // 2 + 1].mean((0, 1))
    np.testing.assert_allclose(middle / 127, ahead, atol=0.02, err_msg="pixels come from where the camera looks now")


def test_a_mirrored_panorama_is_one_and_twice_mirrored_the_same() -> None:
    found = mirrored(directed())
    np.testing.assert_allclose(found.normals[0] / 127, DIRECTIONS, atol=5e-3)
    np.testing.assert_allclose((found.image[0, ..., 0].astype(float) - 128) / 127, -DIRECTIONS[..., 0], atol=5e-3)
    again = mirrored(found)
    for name, values in vars(directed()).items():
        np.testing.assert_array_equal(getattr(again, name), values)


def test_four_quarters_are_none() -> None:
    for name, values in vars(turned(directed(), 4)).items():
        np.testing.assert_array_equal(values, getattr(directed(), name))


@pytest.mark.parametrize("seed", [4, 5])
def test_faces_are_what_the_scene_shows(seed: int) -> None:
    """Against rays that are cast by themselves, in the world that has not been turned by the heading."""
    faces = render_scene_faces(seed, SIZE)
    kind = ("room", "street")[seed % 2]
    generator = np.random.default_rng([6, seed])
    scene = build_scene(kind, seed)
    position, heading = scene.free_position(generator), generator.uniform(0, 2 * np.pi)
    turn = np.array([[np.cos(heading), 0, np.sin(heading)], [0, 1, 0], [-np.sin(heading), 0, np.cos(heading)]])
    for face, camera in enumerate(cubemap(SIZE)):
        frame = render(scene, position, camera.directions() @ turn.T)
        along = frame.depth * camera.rays()[..., 2]
        np.testing.assert_allclose(faces.depth[0, face], along, rtol=2e-3)
        agreeing = (faces.normals[0, face] / 127 * (frame.normals @ turn)).sum(-1)
        np.testing.assert_allclose(agreeing[~frame.sky], 1, atol=0.02)
    assert (faces.depth == 0).any() == (kind == "street")


def test_shards_are_kept(tmp_path: Path) -> None:
    first = load_faces(tmp_path, 0, 2, 8, processes=1)
    assert first.image.shape == (2, 6, 8, 8, 3)
    (shard,) = tmp_path.iterdir()
    written = shard.stat().st_mtime_ns
    again = load_faces(tmp_path, 0, 2, 8, processes=1)
    assert shard.stat().st_mtime_ns == written
    for name, values in vars(first).items():
        np.testing.assert_array_equal(getattr(again, name), values)
