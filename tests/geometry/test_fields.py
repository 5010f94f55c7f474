"""``canonical`` against closed forms: a wall and a sphere, in every unit and frame."""

import numpy as np
import pytest

from geometry.cameras import Camera
from geometry.fields import Field, canonical

CAMERAS = (Camera.looking(20, 16, np.radians(80)), Camera.looking(20, 16, np.radians(80), 1.0, 0.4, 0.3))
ALL = np.ones((2, 16, 20), dtype=bool)


def depth(values: np.ndarray, unit: str, frame: str) -> Field:
    return Field("depth", values.astype(np.float32), ALL, unit, frame)


def test_a_wall_of_constant_z_becomes_radial() -> None:
    wall = canonical(depth(np.full(ALL.shape, 3.0), "metre", "axis"), CAMERAS)
    x, y = (np.arange(20) - 9.5) / CAMERAS[0].focal, (np.arange(16) - 7.5) / CAMERAS[0].focal
    expected = 3 * np.sqrt(1 + x[None, :] ** 2 + y[:, None] ** 2)
    np.testing.assert_allclose(wall.values[0], expected, rtol=1e-6)
    assert (wall.frame, wall.unit) == ("ray", "metre")


def test_inverse_depth_along_the_axis_is_the_inverse_of_radial_depth() -> None:
    z = np.random.default_rng(0).uniform(1, 9, ALL.shape)
    metric = canonical(depth(z, "metre", "axis"), CAMERAS)
    inverse = canonical(depth(1 / z, "inverse", "axis"), CAMERAS)
    np.testing.assert_allclose(inverse.values * metric.values, 1, rtol=1e-5)


def test_radial_depth_is_left_alone() -> None:
    values = np.random.default_rng(0).uniform(1, 9, ALL.shape).astype(np.float32)
    np.testing.assert_array_equal(canonical(depth(values, "scale", "ray"), CAMERAS).values, values)


def test_impossible_distances_become_invalid() -> None:
    values = np.full(ALL.shape, 2.0)
    values[0, 0, :4] = [np.nan, np.inf, 0, -1]
    metric = canonical(depth(values, "metre", "ray"), CAMERAS)
    assert (~metric.valid).sum() == 4
    assert (metric.values[0, 0, :4] == 0).all()
    inverse = canonical(depth(values, "inverse", "ray"), CAMERAS)
    assert (~inverse.valid).sum() == 2  # an affine inverse distance may be zero or negative


def test_camera_normals_turn_into_world_normals_that_face_the_camera() -> None:
    towards_back = np.zeros((*ALL.shape, 3), dtype=np.float32)
    towards_back[..., 2] = 2.0  # along the axis, away from the camera, not of unit length
    one = canonical(Field("normals", towards_back, ALL, "unit", "camera"), CAMERAS)
    for values, camera in zip(one.values, CAMERAS):
        np.testing.assert_allclose(values, np.broadcast_to(-camera.axis, values.shape), atol=1e-6)
    assert one.frame == "world"


def test_zero_and_nan_normals_become_invalid() -> None:
    values = np.zeros((*ALL.shape, 3), dtype=np.float32)
    values[..., 2] = -1
    values[0, 0, 0], values[0, 0, 1] = 0, np.nan
    one = canonical(Field("normals", values, ALL, "unit", "camera"), CAMERAS)
    assert (~one.valid).sum() == 2
    assert np.isfinite(one.values).all()


def test_what_a_field_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match="unit"):
        depth(np.ones(ALL.shape), "feet", "ray")
    with pytest.raises(ValueError, match="frame"):
        depth(np.ones(ALL.shape), "metre", "world")
    with pytest.raises(ValueError, match="do not match"):
        Field("sky", np.ones((2, 3, 4), np.float32), ALL, "probability")
