"""Normals from the depth of a view against planes and spheres."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from geometry.cameras import Camera
from geometry.surfaces.patch_normals import normals_from_depth

CAMERA = Camera.looking(60, 48, np.radians(80), 0.4, 0.2)


def degrees_between(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.degrees(2 * np.arcsin(np.clip(np.linalg.norm(a - b, axis=-1) / 2, 0, 1)))


@given(st.floats(-0.7, 0.7), st.floats(-0.7, 0.7), st.floats(0.1, 50))
def test_a_plane_has_its_normal_everywhere(a: float, b: float, distance: float) -> None:
    normal = np.array([a, b, -1.0]) / np.linalg.norm([a, b, -1.0])
    facing = CAMERA.rays() @ normal
    seen = facing < -0.1
    depth = np.where(seen, -distance / np.where(seen, facing, 1), 0)
    normals, valid = normals_from_depth(depth, seen, CAMERA)
    assert (degrees_between(normals, normal)[valid] < 1e-2).all()
    assert valid.sum() > 0.95 * seen.sum()
    assert not valid[~seen].any()


def test_a_sphere_in_front_of_the_camera() -> None:
    camera = Camera.looking(200, 200, np.radians(60))
    centre, radius = np.array([0.2, -0.1, 4.0]), 1.5
    along = camera.rays() @ centre
    under = along**2 - centre @ centre + radius**2
    seen = under > 0.3
    depth = np.where(seen, along - np.sqrt(np.where(seen, under, 0)), 0)
    normals, valid = normals_from_depth(depth.astype(np.float32), seen, camera)
    expected = (camera.rays() * depth[..., None] - centre) / radius
    assert degrees_between(normals, expected)[valid].max() < 1.5
    assert degrees_between(normals, expected)[valid].mean() < 0.6
    assert valid.sum() > 0.99 * seen.sum()


def test_normals_stay_clean_beside_a_jump() -> None:
    z = np.where(np.arange(60) < 30, 2.0, 5.0) * np.ones((48, 60))
    normals, valid = normals_from_depth(z / CAMERA.rays()[..., 2], np.ones(z.shape, bool), CAMERA)
    assert valid.all()
    np.testing.assert_allclose(normals, np.broadcast_to([0, 0, -1.0], normals.shape), atol=1e-6)


def test_an_isolated_pixel_has_no_normal() -> None:
    z = np.full((48, 60), 2.0)
    z[20, 20] = 9.0
    _, valid = normals_from_depth(z / CAMERA.rays()[..., 2], np.ones(z.shape, bool), CAMERA)
    assert not valid[20, 20]
    assert valid.sum() == valid.size - 1
