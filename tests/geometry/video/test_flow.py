"""Flow, bearings and tangent vectors are one motion: against closed forms, across the seam and over the poles."""

import numpy as np
import py360convert
from scipy.spatial.transform import Rotation

from geometry.cameras import rotation_from_angles
from geometry.directions import directions_to_erp, erp_directions
from geometry.video.flow import (
    angles_between,
    bearings_to_flow,
    erp_to_bearings,
    flow_to_bearings,
    moved_along,
    rigid_bearings,
    tangent_axes,
    tangent_flow,
)

SIZE = (32, 64)


def bearings(count: int, seed: int = 0) -> np.ndarray:
    found = np.random.default_rng(seed).normal(size=(count, 3))
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def test_coordinates_and_bearings_are_inverse() -> None:
    found = bearings(500)
    np.testing.assert_allclose(erp_to_bearings(*directions_to_erp(found, *SIZE), *SIZE), found, atol=1e-12)
    np.testing.assert_allclose(erp_to_bearings(np.array(70.5), np.array(3.5), *SIZE), erp_directions(*SIZE)[3, 6], atol=1e-12)
    beyond = erp_to_bearings(np.array(10.5), np.array(-0.5), *SIZE)  # over the pole: half a turn away
    np.testing.assert_allclose(beyond, erp_directions(*SIZE)[0, (10 + 32) % 64], atol=1e-12)


def test_a_turn_about_the_vertical_is_an_even_flow_also_over_the_seam() -> None:
    for columns in (1, -7, 31):
        turned = erp_directions(*SIZE) @ rotation_from_angles(columns * 2 * np.pi / 64, 0.0).T
        flow = bearings_to_flow(turned)
        np.testing.assert_allclose(flow, np.broadcast_to([columns, 0], (*SIZE, 2)), atol=1e-9)
        np.testing.assert_allclose(flow_to_bearings(flow), turned, atol=1e-12)


def test_any_turn_comes_back_from_its_flow() -> None:
    turned = erp_directions(*SIZE) @ Rotation.random(random_state=3).as_matrix().T
    flow = bearings_to_flow(turned)
    np.testing.assert_allclose(flow_to_bearings(flow), turned, atol=1e-12)
    assert np.abs(flow[..., 0]).max() <= SIZE[1] / 2


def test_angles_are_exact_where_the_inverse_cosine_is_not() -> None:
    start = bearings(50)
    for angle in (1e-9, 1e-4, 1.0, 3.0):
        axis = np.cross(start, [0.3, -0.5, 0.8])
        end = Rotation.from_rotvec(angle * axis / np.linalg.norm(axis, axis=1, keepdims=True)).apply(start)
        np.testing.assert_allclose(angles_between(start, end), angle, rtol=1e-6)
        np.testing.assert_allclose(np.linalg.norm(tangent_flow(start, end), axis=1), angle, rtol=1e-6)


def test_tangent_axes_are_derivatives_of_the_angles() -> None:
    start = bearings(100)
    east, down = tangent_axes(start)
    longitude, latitude = np.arctan2(start[:, 0], start[:, 2]), np.arcsin(-start[:, 1])
    step = 1e-6
    moved = np.stack(
        [np.cos(latitude) * np.sin(longitude + step), -np.sin(latitude), np.cos(latitude) * np.cos(longitude + step)], axis=1
    )
    np.testing.assert_allclose((moved - start) / step / np.cos(latitude)[:, None], east, atol=1e-4)
    np.testing.assert_allclose(np.cross(east, down), start, atol=1e-9)
    assert (down[:, 1] > 0).all()


def test_tangent_flow_and_moving_along_it_are_inverse_also_at_poles() -> None:
    start = np.concatenate([bearings(200), [[0, 1, 0], [0, -1, 0], [0, 0, -1]]])
    end = np.concatenate([bearings(200, 1), [[0, 0.6, 0.8], [0.6, 0, 0.8], [0, 0, -1]]])
    np.testing.assert_allclose(moved_along(start, tangent_flow(start, end)), end, atol=1e-9)
    assert np.isnan(tangent_flow(np.array([0.0, 0, 1]), np.array([0.0, 0, -1]))).all()


def test_a_plane_seen_from_another_place_is_where_its_points_are() -> None:
    directions = erp_directions(*SIZE)
    depth = np.where(directions[..., 1] > 0.1, 1.6 / np.maximum(directions[..., 1], 0.1), 9.0)
    rotation, position = rotation_from_angles(0.4, 0.1, -0.2), np.array([0.3, -0.2, 0.5])
    seen, distance = rigid_bearings(depth, rotation, position)
    np.testing.assert_allclose(seen * distance[..., None] @ rotation.T + position, depth[..., None] * directions, atol=1e-9)


def test_coordinates_are_those_of_py360convert() -> None:
    found = bearings(200)
    column, row = py360convert.utils.uv2coor(*py360convert.utils.xyz2uv(found * [1, -1, 1]), *SIZE)
    np.testing.assert_allclose(erp_to_bearings(column[:, 0] + 0.5, row[:, 0] + 0.5, *SIZE), found, atol=1e-5)
