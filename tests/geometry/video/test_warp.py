"""Maps are sampled along bearings as SciPy samples them, round the seam and over the poles."""

import numpy as np
import pytest
from scipy.ndimage import map_coordinates

from geometry.directions import directions_to_erp, erp_directions
from geometry.video.warp import sampled_along

MAP = np.random.default_rng(0).normal(size=(16, 32))


def bearings(count: int) -> np.ndarray:
    found = np.random.default_rng(1).normal(size=(count, 3))
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def test_it_is_scipys_on_three_turns_of_the_sphere() -> None:
    beyond = np.roll(MAP, 16, axis=1)[::-1]  # over a pole a map goes on half a turn away
    turns = np.tile(np.concatenate([beyond, MAP, beyond]), (1, 3))
    column, row = directions_to_erp(bearings(2000), 16, 32)
    theirs = map_coordinates(turns, [row - 0.5 + 16, column - 0.5 + 32], order=1)
    np.testing.assert_allclose(sampled_along(MAP, bearings(2000)), theirs, atol=1e-12)


def test_centres_give_their_pixels_and_poles_and_seam_are_within() -> None:
    np.testing.assert_allclose(sampled_along(MAP, erp_directions(16, 32)), MAP, atol=1e-12)
    edges = np.array([[0, -1.0, 0], [0, 1.0, 0], [0, 0, -1.0], [-1e-17, 0, -1.0]])
    found = sampled_along(MAP, edges)
    assert found[2] == pytest.approx((MAP[7:9, 0] + MAP[7:9, -1]).mean() / 2)
    assert found[3] == pytest.approx(found[2])
    assert np.isfinite(found).all()


def test_the_unknown_does_not_bleed() -> None:
    holed = MAP.copy()
    holed[5, 0] = np.nan
    found, whole = sampled_along(holed, bearings(2000)), sampled_along(MAP, bearings(2000))
    assert np.isnan(sampled_along(MAP, np.full((1, 3), np.nan))).all()
    known = np.isfinite(found)
    np.testing.assert_array_equal(found[known], whole[known])
    column, row = directions_to_erp(bearings(2000)[~known], 16, 32)
    assert len(column) > 5
    assert (np.abs((column - 0.5 + 16) % 32 - 16) <= 1).all()
    assert (np.abs(row - 5.5) <= 1).all()
