"""Views of the whole sphere, against closed forms: a box of walls, rolled images, and what they were made of."""

import numpy as np
import pytest

from geometry import layouts
from geometry.cameras import Camera, rotation_from_angles
from geometry.directions import erp_directions
from geometry.fields import Field, canonical
from geometry.fusion.fuse import FusionSettings, fuse
from geometry.fusion.sightings import nearest_axis, solid_angles
from geometry.layouts import turned
from geometry.resampling.backproject import backprojection
from geometry.resampling.patches import extract_nearest, extract_patches
from geometry.spheres import Sphere

HEIGHT, WIDTH = 64, 128
WALLS = np.array([2.0, 1.5, 3.0])


def box(directions):
    """Distance to the walls of a box, by the slab that a ray meets first."""
    return (WALLS / np.maximum(np.abs(directions), 1e-9)).min(axis=-1).astype(np.float32)


def depth_of(values, unit="metre"):
    return Field("depth", values, np.ones(values.shape, bool), unit, "ray")


def panorama():
    return np.random.default_rng(3).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)


def test_an_unturned_sphere_is_the_panorama_itself():
    whole = Sphere(WIDTH, HEIGHT)
    np.testing.assert_array_equal(extract_patches(panorama(), (whole,))[0], panorama())
    np.testing.assert_array_equal(whole.directions(), erp_directions(HEIGHT, WIDTH))
    assert np.isclose(solid_angles(whole).sum(), 4 * np.pi, rtol=1e-3)
    assert not nearest_axis((whole,), 8, 16).any()


def test_a_turn_by_whole_columns_rolls_the_panorama():
    (whole,) = turned((Sphere(WIDTH, HEIGHT),), 2 * np.pi * 16 / WIDTH)
    np.testing.assert_array_equal(extract_nearest(panorama(), (whole,))[0], np.roll(panorama(), -16, axis=1))
    assert np.abs(extract_patches(panorama(), (whole,))[0].astype(int) - np.roll(panorama(), -16, axis=1)).max() <= 1


def test_projection_is_the_inverse_of_directions():
    whole = Sphere.from_matrix(HEIGHT, rotation_from_angles(0.7, 0.4, 0.2))
    column, row, inside = whole.project(whole.directions())
    assert inside.all()
    np.testing.assert_allclose(row, np.arange(HEIGHT)[:, None] + 0.5 + np.zeros(WIDTH), atol=1e-6)
    np.testing.assert_allclose(column, np.arange(WIDTH) + 0.5 + np.zeros((HEIGHT, 1)), atol=1e-6)


def test_a_finer_panorama_is_smoothed_before_a_small_sphere_is_cut():
    fine = np.zeros((4 * HEIGHT, 4 * WIDTH, 3), np.uint8)
    fine[:, 1::2] = 255
    small = extract_patches(fine, (Sphere(WIDTH, HEIGHT),))[0].astype(float)
    assert np.abs(small - 127.5).max() < 3


@pytest.mark.parametrize("angles", [(0.0, 0.0), (1.0, 0.0), (0.6, 0.5)])
def test_what_the_sphere_says_lies_where_it_was_seen(angles):
    whole = Sphere.from_matrix(HEIGHT, rotation_from_angles(*angles))
    said = box(whole.directions())[None]
    fused = fuse({"depth": depth_of(said)}, (whole,), HEIGHT, WIDTH, FusionSettings(depth="align"))
    true = box(erp_directions(HEIGHT, WIDTH))
    error = np.abs(fused["depth"] / true - 1)
    assert fused["depth_valid"].all()
    assert (fused["views"] == 1).all()
    assert error.max() < (1e-6 if angles == (0.0, 0.0) else 0.08)
    assert error.mean() < 2e-3


def test_each_pixel_of_another_size_is_the_one_that_holds_it():
    view = backprojection(Sphere(WIDTH, HEIGHT), HEIGHT * 3 // 2, WIDTH * 3 // 2)
    pixel = np.concatenate([box.pixel for box in view.boxes])
    rows, columns = ((2 * np.arange(size * 3 // 2) + 1) // 3 for size in (HEIGHT, WIDTH))
    np.testing.assert_array_equal(pixel, rows[:, None] * WIDTH + columns)


def test_a_sphere_has_no_axis_and_is_twice_as_wide_as_high():
    with pytest.raises(ValueError, match="frame 'ray'"):
        canonical(Field("depth", np.ones((1, 4, 8), np.float32), np.ones((1, 4, 8), bool), "metre", "axis"), (Sphere(8, 4),))
    with pytest.raises(ValueError, match="twice as wide"):
        Sphere(8, 5)
    with pytest.raises(ValueError, match="orthonormal"):
        Sphere(8, 4, (2.0, 0, 0, 0, 1, 0, 0, 0, 1))


def test_normals_of_a_sphere_face_the_camera_in_the_world():
    (whole,) = turned((Sphere(16, 8),), 0.8)
    outwards = Field("normals", whole.rays()[None].astype(np.float32), np.ones((1, 8, 16), bool), "unit", "camera")
    np.testing.assert_allclose(canonical(outwards, (whole,)).values[0], -whole.directions(), atol=1e-6)


def classes_of(cameras):
    """Up is sky (class 1), the rest class 0; with all confidence."""
    values = np.stack([(camera.directions()[..., 1] < -0.5)[..., None].astype(np.uint16) for camera in cameras])
    return Field("semantics", values, np.ones(values.shape[:3], bool), "class", confidence=np.ones(values.shape, np.float32))


def test_fields_with_views_of_their_own_are_fused_as_if_alone():
    faces, views = layouts.cubemap(48, np.radians(96)), layouts.icosahedron(32)
    depth = depth_of(np.stack([box(camera.directions()) for camera in faces]))
    semantics, settings = classes_of(views), FusionSettings(classes=2)
    both = fuse({"depth": depth, "semantics": semantics}, {"depth": faces, "semantics": views}, HEIGHT, WIDTH, settings)
    classes_alone = fuse({"semantics": semantics}, views, HEIGHT, WIDTH, settings)
    depth_alone = fuse({"depth": depth}, faces, HEIGHT, WIDTH, settings)
    for names, alone in [
        (("semantics", "semantics_consistency", "semantics_runner_up"), classes_alone),
        (("depth", "depth_valid", "depth_consistency", "views"), depth_alone),
    ]:
        for name in names:
            np.testing.assert_array_equal(both[name], alone[name])
    with pytest.raises(ValueError, match="none of semantics"):
        fuse({"depth": depth, "semantics": semantics}, {"depth": faces}, HEIGHT, WIDTH, settings)


def test_sky_that_other_views_see_has_no_depth():
    faces, views = layouts.cubemap(48, np.radians(96)), (Sphere(WIDTH, HEIGHT),)
    depth = depth_of(np.stack([box(camera.directions()) for camera in faces]))
    settings = FusionSettings(classes=2, sky_class=1)
    fused = fuse({"depth": depth, "semantics": classes_of(views)}, {"depth": faces, "semantics": views}, HEIGHT, WIDTH, settings)
    sky = erp_directions(HEIGHT, WIDTH)[..., 1] < -0.5
    np.testing.assert_array_equal(fused["sky"], sky)
    assert not fused["depth_valid"][sky].any()
    assert fused["depth_valid"][~sky].mean() > 0.99


def test_one_factor_for_all_views_is_left_to_them():
    """A wall in one view is twice as far as in its neighbour: views of a scale of their own are drawn together, these are not."""
    faces = layouts.cubemap(48, np.radians(100))
    values = np.stack([box(camera.directions()) * (2 if number == 1 else 1) for number, camera in enumerate(faces)])
    at = {
        unit: fuse({"depth": depth_of(values, unit)}, faces, HEIGHT, WIDTH, FusionSettings(depth="blend"))["depth"]
        for unit in ("metre", "shared", "scale")
    }
    np.testing.assert_array_equal(at["shared"], at["metre"])
    right, ahead = (HEIGHT // 2, WIDTH * 3 // 4), (HEIGHT // 2, WIDTH // 2)
    assert np.isclose(at["shared"][right] / at["shared"][ahead], 2 * WALLS[0] / WALLS[2], rtol=0.01)
    assert np.isclose(at["scale"][right] / at["scale"][ahead], WALLS[0] / WALLS[2], rtol=0.01)


def test_cameras_still_see_less_than_all():
    assert Camera.looking(4, 4, 1.0).fov < np.pi < Sphere(8, 4).fov
