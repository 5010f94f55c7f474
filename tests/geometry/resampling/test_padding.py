"""The sphere pad and smoothing on it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import convolve1d

from geometry.directions import angles_to_directions, directions_to_erp
from geometry.resampling.padding import binomial_sphere, pad_sphere, sphere_rows


@given(st.integers(0, 40), st.sampled_from([(6, 12), (8, 16), (6, 14), (1, 2), (2, 4), (3, 2), (16, 6)]))
def test_every_padded_pixel_is_the_pixel_at_its_direction(margin: int, size: tuple[int, int]) -> None:
    height, width = size
    numbers = np.arange(height * width).reshape(size)
    longitude = ((np.arange(-margin, width + margin) + 0.5) / width - 0.5) * 2 * np.pi
    latitude = (0.5 - (np.arange(-margin, height + margin) + 0.5) / height) * np.pi  # goes on beyond 90 degrees
    column, row = directions_to_erp(angles_to_directions(longitude[None, :], latitude[:, None]), height, width)
    expected = numbers[np.floor(row).astype(int), np.floor(column).astype(int) % width]
    np.testing.assert_array_equal(pad_sphere(numbers, margin), expected)


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.float16, np.int64])
def test_any_dtype_and_channels(dtype: type) -> None:
    array = np.random.default_rng(0).integers(0, 2, (4, 8, 3)).astype(dtype)
    padded = pad_sphere(array, 1)
    assert padded.dtype == dtype
    assert padded.shape == (6, 10, 3)
    np.testing.assert_array_equal(padded[1:-1, 1:-1], array)


def test_rows_are_a_part_of_the_padded_array() -> None:
    array = np.random.default_rng(0).random((8, 16))
    for start, stop in ((-2, 3), (2, 5), (6, 10), (-2, -1), (8, 10), (9, 10)):
        np.testing.assert_array_equal(sphere_rows(array, start, stop, 2), pad_sphere(array, 2)[start + 2 : stop + 2])


@pytest.mark.parametrize(("size", "margin"), [((4, 8), -1), ((0, 8), 1), ((4, 0), 1)])
def test_impossible_margins_are_refused(size: tuple[int, int], margin: int) -> None:
    with pytest.raises(ValueError, match="cannot be continued"):
        pad_sphere(np.zeros(size), margin)


@pytest.mark.parametrize("taps", [3, 5])
@pytest.mark.parametrize("margin", [0, 1, 4])
@pytest.mark.parametrize("size", [(1, 2), (2, 4), (4, 8), (5, 10), (6, 12)])
def test_binomial_of_an_image_that_its_borders_go_round(size: tuple[int, int], margin: int, taps: int) -> None:
    array = np.random.default_rng(1).random((*size, 1)).astype(np.float32)
    reach = taps // 2
    wide = pad_sphere(array.astype(np.float64), margin + reach)
    weights = np.poly1d([0.5, 0.5]) ** (taps - 1)
    expected = convolve1d(convolve1d(wide, weights.c, axis=1), weights.c, axis=0)[reach:-reach, reach:-reach]
    np.testing.assert_allclose(binomial_sphere(array, taps, margin), expected, atol=1e-5)


@pytest.mark.parametrize("dtype", [np.float32, np.uint8])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("margin", [0, 1, 2])
@pytest.mark.parametrize(("taps", "kernel"), [(1, [1]), (3, [1, 2, 1]), (5, [1, 4, 6, 4, 1])])
def test_binomial_is_a_weighted_mean_on_the_sphere(taps: int, kernel: list[int], margin: int, channels: int, dtype: type) -> None:
    array = (255 * np.random.default_rng(0).random((12, 24, channels))).astype(dtype)
    wide = pad_sphere(array, 6).astype(np.float64)
    weights = np.array(kernel) / sum(kernel)
    expected = convolve1d(convolve1d(wide, weights, axis=1), weights, axis=0)[6 - margin : 18 + margin, 6 - margin : 30 + margin]
    tolerance = 1.0 if dtype is np.uint8 else 1e-3  # uint8 is rounded twice
    np.testing.assert_allclose(binomial_sphere(array, taps, margin), expected, atol=tolerance)
