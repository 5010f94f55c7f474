"""The sphere convention, pinned by closed forms and round trips."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from geometry.directions import (
    angles_to_directions,
    directions_to_angles,
    directions_to_erp,
    erp_angles,
    erp_area_weights,
    erp_directions,
)

finite = st.floats(-1, 1, allow_nan=False)


def test_the_image_centre_looks_forward() -> None:
    column, row = directions_to_erp(np.array([0.0, 0.0, 1.0]), 100, 200)
    assert (column, row) == (100, 50)


def test_right_is_right_and_up_is_up() -> None:
    right, _ = directions_to_erp(np.array([1.0, 0.0, 0.0]), 100, 200)
    _, up = directions_to_erp(np.array([0.0, -1.0, 0.0]), 100, 200)
    assert (right, up) == (150, 0)


def test_pixel_centres_follow_the_stated_formula() -> None:
    height, width = 6, 12
    directions = erp_directions(height, width)
    for i, j in ((0, 0), (2, 7), (5, 11)):
        theta = ((j + 0.5) / width - 0.5) * 2 * np.pi
        phi = (0.5 - (i + 0.5) / height) * np.pi
        expected = [np.cos(phi) * np.sin(theta), -np.sin(phi), np.cos(phi) * np.cos(theta)]
        np.testing.assert_allclose(directions[i, j], expected, atol=1e-15)


def test_every_pixel_centre_maps_to_itself() -> None:
    column, row = directions_to_erp(erp_directions(32, 64), 32, 64)
    np.testing.assert_allclose(column, np.broadcast_to(np.arange(64) + 0.5, (32, 64)), atol=1e-9)
    np.testing.assert_allclose(row, np.broadcast_to(np.arange(32)[:, None] + 0.5, (32, 64)), atol=1e-9)


@given(st.floats(-np.pi + 1e-9, np.pi), st.floats(-np.pi / 2 + 1e-6, np.pi / 2 - 1e-6))
def test_angles_round_trip(longitude: float, latitude: float) -> None:
    back = directions_to_angles(angles_to_directions(np.array(longitude), np.array(latitude)))
    np.testing.assert_allclose(back, (longitude, latitude), atol=1e-9)


@given(st.tuples(finite, finite, finite).filter(lambda v: np.linalg.norm(v) > 1e-3), st.floats(0.1, 100))
def test_the_length_of_a_direction_does_not_matter(vector: tuple[float, float, float], length: float) -> None:
    direction = np.array(vector)
    np.testing.assert_allclose(directions_to_erp(direction, 50, 100), directions_to_erp(direction * length, 50, 100), atol=1e-9)


def test_area_weights_add_up_to_the_sphere() -> None:
    height, width = 256, 512
    area = erp_area_weights(height).sum() * width * (np.pi / height) * (2 * np.pi / width)
    np.testing.assert_allclose(area, 4 * np.pi, rtol=1e-4)


def test_float32_angles_keep_their_type() -> None:
    longitude, latitude = erp_angles(8, 16, np.float32)
    assert longitude.dtype == latitude.dtype == np.float32
