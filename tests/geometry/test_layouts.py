"""Layouts: where views look, and how often they cover the sphere (closed-form solid angles)."""

import numpy as np
import pytest

from geometry import layouts
from geometry.directions import directions_to_angles, erp_area_weights, erp_directions


def mean_coverage(cameras: tuple) -> float:
    counts = layouts.coverage(cameras, 256, 512)
    return float(np.average(counts, weights=np.broadcast_to(erp_area_weights(256)[:, None], counts.shape)))


def solid_angle(fov: float) -> float:
    """Of a square view: that of a right rectangular pyramid."""
    return 4 * np.arcsin(np.sin(fov / 2) ** 2)


@pytest.mark.parametrize(
    ("cameras", "published"),
    [
        (layouts.cubemap(64), 1.0),
        (layouts.cubemap(64, np.radians(96)), 1.117),
        (layouts.icosahedron_vertices(64), 2.0),
        (layouts.icosahedron(64), 10 / 3),
        (layouts.random(64, 16, np.random.default_rng(0), (1.4, 1.4)), 16 * 0.13622),
    ],
)
def test_mean_coverage_is_the_solid_angle(cameras: tuple, published: float) -> None:
    expected = sum(solid_angle(camera.fov) for camera in cameras) / (4 * np.pi)
    np.testing.assert_allclose(expected, published, rtol=1e-3)
    np.testing.assert_allclose(mean_coverage(cameras), expected, rtol=4e-3)


def test_coverage_agrees_with_projection() -> None:
    cameras = layouts.random(32, 6, np.random.default_rng(1))
    directions = erp_directions(40, 80)
    expected = sum(camera.project(directions)[2].astype(int) for camera in cameras)
    np.testing.assert_array_equal(layouts.coverage(cameras, 40, 80), expected)


@pytest.mark.parametrize("make", [layouts.cubemap, layouts.icosahedron, layouts.icosahedron_vertices])
def test_closed_layouts_leave_no_gap_at_91_degrees(make: object) -> None:
    assert layouts.coverage(make(64, np.radians(91)), 128, 256).min() >= 1  # type: ignore[operator]


def test_cube_faces_look_front_right_back_left_up_down() -> None:
    axes = [camera.axis for camera in layouts.cubemap(8)]
    np.testing.assert_allclose(axes, [[0, 0, 1], [1, 0, 0], [0, 0, -1], [-1, 0, 0], [0, -1, 0], [0, 1, 0]], atol=1e-12)


def test_icosahedron_faces_are_the_published_tangent_points() -> None:
    cameras = layouts.icosahedron(8)
    latitudes = np.degrees([directions_to_angles(camera.axis)[1] for camera in cameras])
    np.testing.assert_allclose(latitudes, np.repeat([52.6226, 10.8123, -10.8123, -52.6226], 5), atol=1e-3)
    axes = np.array([camera.axis for camera in cameras])
    nearest = np.sort(np.degrees(np.arccos(np.clip(axes @ axes.T, -1, 1))), axis=1)[:, 1:4]
    np.testing.assert_allclose(nearest, 180 - 138.189685, atol=1e-4)  # three neighbours, at the dihedral angle


def test_rings_go_round_and_end_at_the_poles() -> None:
    cameras = layouts.rings(8, 1.0, (0.0, 2.0), (-0.3, 0.3))
    angles = [directions_to_angles(camera.axis) for camera in cameras[:4]]
    np.testing.assert_allclose(angles, [(0, -0.3), (2, -0.3), (0, 0.3), (2, 0.3)], atol=1e-12)
    np.testing.assert_allclose([camera.axis[1] for camera in cameras[4:]], [-1, 1])
    assert len(layouts.rings(8, poles=False)) == 8


def test_random_views_follow_their_ranges_and_their_seed() -> None:
    cameras = layouts.random(8, 3000, np.random.default_rng(0))
    fovs = np.degrees([camera.fov for camera in cameras])
    longitude, latitude = directions_to_angles(np.array([camera.axis for camera in cameras]))
    assert fovs.min() >= 80
    assert fovs.max() <= 120
    for values, low, high in ((fovs, 80, 120), (np.degrees(longitude), -180, 180), (np.degrees(latitude), -90, 90)):
        histogram = np.histogram(values, 10, (low, high))[0]
        assert abs(histogram - 300).max() < 80  # uniform: five standard deviations
    assert cameras == layouts.random(8, 3000, np.random.default_rng(0))


def test_explicit_views_are_yaw_pitch_fov_roll() -> None:
    (camera,) = layouts.explicit(8, [(0.5, 0.2, 1.1, 0.3)])
    assert camera == layouts.Camera.looking(8, 8, 1.1, yaw=0.5, pitch=0.2, roll=0.3)
