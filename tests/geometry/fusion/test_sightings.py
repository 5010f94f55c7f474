"""Pairs of views and ERP pixels against the pinhole formula in float64; perfect patches against surfaces in closed form."""

import numpy as np
import pytest

from geometry.cameras import Camera
from geometry.directions import erp_directions
from geometry.fusion.sightings import nearest_axis, patch_fields, sightings, solid_angles
from geometry.layouts import cubemap, icosahedron, random

SHAPE = (40, 80)
VIEWS = random(17, 5, np.random.default_rng(3))


def off_centre_sphere(directions: np.ndarray) -> np.ndarray:
    """Distance from inside a sphere of radius 3 m whose centre lies 1 m to the right."""
    along = directions[..., 0]
    return along + np.sqrt(along**2 + 8)


def labels_of(directions: np.ndarray) -> dict[str, np.ndarray]:
    valid = np.ones(directions.shape[:-1], bool)
    normals = -directions
    classes = (directions[..., 1] > 0).astype(np.uint16)
    both = {"depth": off_centre_sphere(directions), "normals": normals, "semantics": classes}
    return {**both, **{f"{name}_valid": valid for name in both}}


@pytest.mark.parametrize("camera", VIEWS)
def test_a_sighting_is_where_the_pinhole_formula_puts_the_pixel(camera: Camera) -> None:
    column, row, inside = camera.project(erp_directions(*SHAPE))
    seen = sightings(camera, *SHAPE)
    # A direction on the very border may fall on either side in float32.
    border = inside & ((np.minimum(column % 1, 1 - column % 1) < 1e-4) | (np.minimum(row % 1, 1 - row % 1) < 1e-4))
    found = np.zeros(SHAPE, bool)
    found.ravel()[seen.pixel] = True
    np.testing.assert_array_equal(found | border, inside | border)
    assert len(np.unique(seen.pixel)) == len(seen.pixel) > 20
    kept = ~border.ravel()[seen.pixel]
    patch = np.floor(row).astype(int) * camera.width + np.floor(column).astype(int)
    np.testing.assert_array_equal(seen.patch[kept], patch.ravel()[seen.pixel][kept])
    np.testing.assert_allclose(seen.dx[kept], (column % 1 - 0.5).ravel()[seen.pixel][kept], atol=1e-3)
    np.testing.assert_allclose(seen.dy[kept], (row % 1 - 0.5).ravel()[seen.pixel][kept], atol=1e-3)


def test_perfect_patches_follow_a_smooth_surface_over_seam_and_poles() -> None:
    cameras = icosahedron(24) + cubemap(24)
    fields = patch_fields(labels_of(erp_directions(128, 256)), cameras)
    directions = np.stack([camera.directions() for camera in cameras])
    assert all(field.valid.all() for field in fields.values())
    np.testing.assert_allclose(fields["depth"].values, off_centre_sphere(directions), rtol=4e-4)
    angle = np.degrees(np.arccos(np.clip((fields["normals"].values * -directions).sum(axis=-1), -1, 1)))
    assert angle.max() < 180 / 128, "the nearest pixel is less than a pixel away"
    away = np.abs(directions[..., 1]) > np.pi / 128
    np.testing.assert_array_equal(fields["semantics"].values[..., 0][away], (directions[..., 1] > 0)[away])


def test_perfect_patches_never_mix_two_surfaces_and_keep_gaps() -> None:
    labels = labels_of(erp_directions(64, 128))
    near = erp_directions(64, 128)[..., 2] > 0.4
    labels["depth"] = np.where(near, 1.0, 5.0)
    labels["depth_valid"] = erp_directions(64, 128)[..., 1] > -0.5
    depth = patch_fields(labels, icosahedron(24))["depth"]
    np.testing.assert_allclose(np.unique(depth.values[depth.valid]), [1, 5], rtol=1e-6)
    assert not depth.values[~depth.valid].any()
    up = np.stack([camera.directions() for camera in icosahedron(24)])[..., 1]
    assert depth.valid[up > -0.45].all()
    assert not depth.valid[up < -0.55].any()


def test_solid_angles_of_a_cube_are_the_sphere() -> None:
    face = cubemap(64, np.pi / 2)[0]
    assert 6 * solid_angles(face).sum() == pytest.approx(4 * np.pi, rel=1e-4)


def test_the_nearest_axis_among_the_views_that_see_a_pixel() -> None:
    directions = erp_directions(*SHAPE)
    expected = np.full(SHAPE, np.inf)
    for camera in VIEWS[:3]:
        angle = np.arccos(np.clip(directions @ camera.axis, -1, 1))
        expected = np.where(camera.project(directions)[2], np.minimum(expected, angle), expected)
    found = nearest_axis(VIEWS[:3], *SHAPE)
    assert np.isinf(found).any()
    assert (np.isclose(found, expected) | (np.isinf(found) & np.isinf(expected))).mean() > 0.999, "but for the very border"
