import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geometry.fusion.sharpening import sharpened

EDGE = 0.1


def every(views: np.ndarray) -> np.ndarray:
    return np.ones(views.shape, bool)


def steps() -> np.ndarray:
    """Views (3, 64, 64) with a straight, an oblique and a round edge between 2 and 3 m, or 2 and 8 m."""
    y, x = np.mgrid[0:64, 0:64]
    inside = np.stack([x < 30, x + 2 * y < 90, (x - 30) ** 2 + (y - 34) ** 2 < 300])
    return np.where(inside, 2, np.array([3, 8, 3])[:, None, None]).astype(np.float32)


def blurred(views: np.ndarray, sigma: float) -> np.ndarray:
    return np.stack([np.exp(cv2.GaussianBlur(np.log(view), (0, 0), sigma)) for view in views])


def wrong(views: np.ndarray, true: np.ndarray) -> float:
    return float(np.abs(np.log(views / true)).mean())


@pytest.mark.parametrize(("sigma", "left"), [(1, 0.6), (2, 0.6)])
def test_a_blurred_edge_is_sharp_again(sigma, left):
    true = steps()
    soft = blurred(true, sigma)
    mended = sharpened(soft, every(true), EDGE)
    assert wrong(mended, true) < left * wrong(soft, true)


def test_the_straight_edge_is_where_the_ramp_was_half_way():
    true = steps()[:1]
    mended = sharpened(blurred(true, 1), every(true), EDGE)
    middle = mended[0, 8:-8]
    np.testing.assert_array_less(np.abs(np.log(middle[:, :30] / 2)), 0.07)
    np.testing.assert_array_less(np.abs(np.log(middle[:, 30:] / 3)), 0.07)


def test_sharp_edges_are_given_back_untouched():
    views = steps()
    assert sharpened(views, every(views), EDGE) is views
    rng = np.random.default_rng(0)
    poles = np.full((2, 64, 64), 9, np.float32)
    for view in poles:
        for column in rng.integers(0, 64, 12):
            view[:, column] = rng.uniform(1, 8)
    assert sharpened(poles, every(poles), EDGE) is poles


def test_floors_and_walls_are_no_ramps():
    y = np.mgrid[1:65, 0:64][0]
    floor = (80 / y).astype(np.float32)[None]  # the horizon in the first row
    np.testing.assert_array_equal(sharpened(floor, every(floor), EDGE), floor)


def test_what_is_not_usable_never_leaks():
    true = steps()
    soft = blurred(true, 1)
    holes = np.random.default_rng(1).random(true.shape) < 0.1
    poison = np.where(holes, np.nan, soft).astype(np.float32)
    mended = sharpened(poison, ~holes, EDGE)
    assert np.isfinite(mended[~holes]).all()
    assert (mended[~holes] <= 8.001).all()
    assert (mended[~holes] >= 1.999).all()


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**31), st.floats(0.01, 100))
def test_a_common_factor_and_a_mirror_pass_through(seed, factor):
    coarse = np.random.default_rng(seed).uniform(1, 9, (2, 5, 5)).astype(np.float32)
    sharp = np.stack([cv2.resize(one, (40, 40), interpolation=cv2.INTER_NEAREST) for one in coarse])
    soft = blurred(sharp, 1)
    mended = sharpened(soft, every(soft), EDGE)
    assert (mended != soft).any()
    np.testing.assert_allclose(sharpened((factor * soft).astype(np.float32), every(soft), EDGE) / factor, mended, rtol=1e-4)
    mirrored = sharpened(np.ascontiguousarray(soft[:, :, ::-1]), every(soft), EDGE)
    np.testing.assert_allclose(mirrored[:, :, ::-1], mended, rtol=1e-5)


def test_nothing_usable_is_given_back():
    views = np.zeros((2, 8, 8), np.float32)
    assert sharpened(views, np.zeros(views.shape, bool), EDGE) is views
