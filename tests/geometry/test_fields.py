"""``canonical`` against closed forms: a wall and a sphere, in every unit and frame."""

from dataclasses import replace

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


def plain_canonical(one: Field, cameras: tuple[Camera, ...]) -> Field:
    """As ``canonical`` was written first: one numpy operation for each line of the definition."""
    values = one.values.astype(np.float32, copy=True)
    if one.name == "depth":
        for patch, camera in zip(values, cameras):
            cosine = camera.rays()[..., 2].astype(np.float32)
            patch[:] = patch * cosine if one.unit == "inverse" else patch / cosine
        valid = one.valid & np.isfinite(values) & ((values > 0) | (one.unit == "inverse"))
        return replace(one, values=np.where(valid, values, 0).astype(np.float32), valid=valid, frame="ray")
    for patch, camera in zip(values, cameras):
        patch[:] = patch @ camera.matrix.T.astype(np.float32)
        directions = (camera.rays() @ camera.matrix.T).astype(np.float32)
        patch[np.einsum("hwc,hwc->hw", patch, directions) > 0] *= -1
    length = np.linalg.norm(values, axis=-1)
    valid = one.valid & np.isfinite(length) & (length > 1e-6)
    unit = np.where(valid[..., None], values / np.where(valid, length, 1)[..., None], 0)
    return replace(one, values=unit.astype(np.float32), valid=valid, frame="world")


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("unit", ["unit", "metre", "inverse"])
@pytest.mark.parametrize("size", [(16, 20), (97, 131)])
def test_every_bit_is_that_of_the_plain_definition(unit: str, size: tuple[int, int]) -> None:
    generator = np.random.default_rng(0)
    cameras = tuple(Camera.looking(size[1], size[0], 1.4, *generator.uniform(-1, 1, 3)) for _ in range(3))
    name, frame, channels = ("normals", "camera", (3,)) if unit == "unit" else ("depth", "axis", ())
    values = generator.normal(size=(3, *size, *channels)).astype(np.float32)
    values[0, 0, :6] = np.array([np.nan, np.inf, 0, -0.0, 1e-9, 1e30])[(slice(None), *(None for _ in channels))]
    values[1, :2] = 0
    field = Field(name, values, generator.random((3, *size)) > 0.1, unit, frame)
    found, expected = canonical(field, cameras), plain_canonical(field, cameras)
    np.testing.assert_array_equal(found.values.view(np.uint32), expected.values.view(np.uint32))
    np.testing.assert_array_equal(found.valid, expected.valid)
    assert 0 < found.valid.mean() < 1


def test_a_field_that_is_given_is_not_written_into() -> None:
    values = np.random.default_rng(0).normal(size=(*ALL.shape, 3)).astype(np.float32)
    for field in (Field("normals", values, ALL, "unit", "world"), depth(values[..., 0], "metre", "axis")):
        before = field.values.copy()
        canonical(field, CAMERAS)
        np.testing.assert_array_equal(field.values, before)
