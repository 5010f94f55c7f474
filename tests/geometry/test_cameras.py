"""Cameras: convention pins, an independent rotation, and round trips."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from geometry.cameras import Camera, rotation_from_angles
from geometry.directions import directions_to_angles

angle = st.floats(-np.pi, np.pi)


def centre_angles(camera: Camera) -> tuple[float, float]:
    longitude, latitude = directions_to_angles(camera.axis)
    return float(longitude), float(latitude)


def test_yaw_turns_right_and_pitch_looks_up() -> None:
    np.testing.assert_allclose(Camera.looking(4, 4, 1).axis, [0, 0, 1])
    np.testing.assert_allclose(Camera.looking(4, 4, 1, yaw=np.pi / 2).axis, [1, 0, 0], atol=1e-12)
    np.testing.assert_allclose(Camera.looking(4, 4, 1, pitch=np.pi / 2).axis, [0, -1, 0], atol=1e-12)


def test_roll_turns_clockwise_seen_from_behind() -> None:
    rolled = Camera.looking(4, 4, 1, roll=np.pi / 2)
    np.testing.assert_allclose(rolled.matrix @ [1, 0, 0], [0, 1, 0], atol=1e-12)  # its right is the world's down


@given(angle, st.floats(-1.5, 1.5), angle)
def test_rotation_matches_scipy(yaw: float, pitch: float, roll: float) -> None:
    expected = Rotation.from_euler("YXZ", [yaw, pitch, roll]).as_matrix()
    np.testing.assert_allclose(rotation_from_angles(yaw, pitch, roll), expected, atol=1e-12)
    np.testing.assert_allclose(centre_angles(Camera.looking(2, 2, 1, yaw, pitch, roll))[1], pitch, atol=1e-9)


def test_first_pixel_is_the_upper_left() -> None:
    x, y, z = Camera(8, 6, 1.0, tuple(np.eye(3).ravel())).rays()[0, 0]
    assert x < 0
    assert y < 0
    assert z > 0


def test_the_field_of_view_spans_the_outer_pixel_edges() -> None:
    camera = Camera.looking(100, 60, np.radians(70))
    edge = np.array([np.tan(np.radians(35)), 0, 1.0])
    column, row, inside = camera.project(edge)
    np.testing.assert_allclose((column, row), (100, 30))
    assert inside


@given(angle, st.floats(-np.pi / 2, np.pi / 2), angle, st.floats(0.2, 2.8))
def test_projection_undoes_directions(yaw: float, pitch: float, roll: float, fov: float) -> None:
    camera = Camera.looking(7, 5, fov, yaw, pitch, roll)
    directions = camera.directions()
    np.testing.assert_allclose(np.linalg.norm(directions, axis=-1), 1)
    column, row, inside = camera.project(directions)
    np.testing.assert_allclose(column, np.broadcast_to(np.arange(7) + 0.5, (5, 7)), atol=1e-7)
    np.testing.assert_allclose(row, np.broadcast_to(np.arange(5)[:, None] + 0.5, (5, 7)), atol=1e-7)
    assert inside.all()
    assert not camera.project(-directions)[2].any()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 4, 1.0, tuple(np.eye(3).ravel())), "size"),
        ((4, 4, np.pi, tuple(np.eye(3).ravel())), "fov"),
        ((4, 4, 1.0, (1.0,) * 4), "9 numbers"),
        ((4, 4, 1.0, tuple(np.diag([1, 1, -1]).ravel())), "right-handed"),
    ],
)
def test_impossible_cameras_are_refused(arguments: tuple, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Camera(*arguments)


def test_equal_cameras_share_a_hash() -> None:
    assert len({Camera.looking(4, 4, 1.0, 0.5), Camera.looking(4, 4, 1.0, 0.5)}) == 1


def test_rays_are_shared_and_safe_from_whoever_asks() -> None:
    one, other = Camera.looking(6, 4, 1.0, yaw=1.0), Camera.looking(6, 4, 1.0, pitch=0.5)
    assert one.rays() is other.rays()
    with pytest.raises(ValueError, match="read-only"):
        one.rays()[0, 0] = 0
    assert Camera.looking(6, 4, 1.1).rays()[0, 0, 2] < one.rays()[0, 0, 2]  # a wider view
    before = one.directions()
    before[:] = 0
    np.testing.assert_allclose(np.linalg.norm(one.directions(), axis=-1), 1)
