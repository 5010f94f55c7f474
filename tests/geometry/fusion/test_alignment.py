import numpy as np
import pytest

from geometry.cameras import Camera
from geometry.fields import Field
from geometry.fusion.alignment import aligned_distance, coarse_samples, view_affines, view_scales
from geometry.resampling.backproject import build_backprojection

CAMERAS = [Camera.looking(64, 64, np.radians(100), yaw, pitch) for pitch in (-0.9, 0.0, 0.9) for yaw in np.arange(4) * np.pi / 2]
VIEWS = [build_backprojection(camera, 64, 128) for camera in CAMERAS]


def distance(directions: np.ndarray) -> np.ndarray:
    """A closed surface around the origin with relief."""
    return 3 + np.sin(3 * directions[..., 0]) * directions[..., 1] + 0.8 * directions[..., 2]


def samples(values: np.ndarray) -> np.ndarray:
    return coarse_samples(values, np.isfinite(values), VIEWS)


@pytest.fixture
def truth() -> np.ndarray:
    return np.stack([distance(camera.directions()) for camera in CAMERAS])


@pytest.fixture
def scales() -> np.ndarray:
    logs = np.random.default_rng(1).normal(0, 0.3, len(CAMERAS))
    return np.exp(logs - np.median(logs))


def test_coarse_samples_are_the_values_of_the_directions(truth):
    found = samples(truth)
    shared = found[:, np.isfinite(found).sum(axis=0) > 1]
    assert np.max(np.nanmax(shared, axis=0) - np.nanmin(shared, axis=0)) < 0.15  # a pixel's width of relief
    assert np.isnan(found).any()


def test_injected_scales_are_recovered(truth, scales):
    # Exactly what views share: the same value in the same direction, so that nothing but the scales differs.
    shared = np.nanmedian(samples(truth), axis=0) + 0 * samples(truth)
    found = view_scales(np.log(shared * scales[:, None]))
    np.testing.assert_allclose(found, 1 / scales, rtol=1e-6)


def test_injected_scales_are_recovered_through_resampling(truth, scales):
    found = view_scales(np.log(samples(truth * scales[:, None, None])))
    np.testing.assert_allclose(found * scales / np.median(found * scales), 1, rtol=1e-3)


def test_one_fifth_of_outlying_pixels_does_no_harm(truth, scales):
    values = truth * scales[:, None, None]
    rng = np.random.default_rng(2)
    outlying = rng.random(values.shape) < 0.2
    values = np.where(outlying, values * rng.uniform(0.2, 5, values.shape), values)
    found = view_scales(np.log(samples(values)))
    np.testing.assert_allclose(found * scales / np.median(found * scales), 1, rtol=4e-3)


def test_one_fifth_of_outlying_pairs_does_no_harm(scales):
    # Directions that exactly two views share, pair by pair; a fifth of the pairs disagree wildly.
    count = len(scales)
    pairs = [(i, j) for i in range(count) for j in range(i + 1, count)]
    rng = np.random.default_rng(3)
    logs = np.full((count, 20 * len(pairs)), np.nan)
    for k, (i, j) in enumerate(pairs):
        at = slice(20 * k, 20 * k + 20)
        surface = rng.uniform(0, 2, 20)
        logs[i, at] = surface + np.log(scales[i]) + (rng.choice([-1, 1]) * 0.7 if k % 5 == 0 else 0)
        logs[j, at] = surface + np.log(scales[j])
    np.testing.assert_allclose(view_scales(logs), 1 / scales, rtol=1e-3)


def test_views_without_overlap_stay_as_they_are():
    logs = np.full((3, 100), np.nan)
    logs[0, :60], logs[1, 20:80], logs[2, 80:] = 0.0, 0.2, 5.0
    np.testing.assert_allclose(view_scales(logs), [np.exp(0.1), np.exp(-0.1), 1])
    assert (view_scales(logs[2:]) == 1).all()
    a, b = view_affines(np.exp(-logs), np.where(np.isfinite(logs), 0.9, np.nan))
    assert (a[2], b[2]) == (1, 0)


def test_order_of_views_does_not_matter(truth, scales):
    logs = np.log(samples(truth * scales[:, None, None]))
    order = np.random.default_rng(4).permutation(len(logs))
    np.testing.assert_allclose(view_scales(logs[order]), view_scales(logs)[order], rtol=1e-6)


@pytest.mark.parametrize("outlying", [0.0, 0.2])
def test_factor_and_offset_of_inverse_distances_are_recovered(truth, outlying):
    cosine = np.stack([camera.rays()[..., 2] for camera in CAMERAS])
    rng = np.random.default_rng(5)
    factor, offset = rng.uniform(0.7, 1.4, len(CAMERAS)), rng.uniform(-0.08, 0.08, len(CAMERAS))
    cosines = samples(cosine)
    shared = np.nanmedian(1 / samples(truth), axis=0)
    inverse = (shared - offset[:, None] * cosines) / factor[:, None]  # so that a u + b c is the inverse distance
    inverse = np.where(rng.random(inverse.shape) < outlying, inverse * rng.uniform(0.3, 3, inverse.shape), inverse)
    a, b = view_affines(inverse, cosines)
    assert a.mean() == pytest.approx(1)
    np.testing.assert_allclose(a, factor / factor.mean(), rtol=2e-3)
    np.testing.assert_allclose(b, offset / factor.mean(), atol=2e-3)


@pytest.mark.parametrize("level", [1e-3, 1.0, 1e4])
def test_inverse_distances_at_infinity_and_beyond_have_no_distance(level):
    inverse = np.full((1, 4, 4), level, np.float32)
    inverse[0, 0] = 0, -level, np.nan, 1e-3 * level
    camera = Camera.looking(4, 4, np.pi / 2, 0.0, 0.0)
    distance, usable = aligned_distance(Field("depth", inverse, np.ones((1, 4, 4), bool), "inverse", "ray"), [camera])
    np.testing.assert_array_equal(usable[0, 0], [False, False, False, True])
    assert usable[0, 1:].all()
    assert not distance[~usable].any()
    np.testing.assert_allclose(distance[usable], 1 / inverse[usable], rtol=1e-6)


@pytest.mark.parametrize("unit", ["metre", "scale", "inverse"])
def test_what_is_not_valid_has_no_part_in_the_alignment_but_comes_out_on_its_views_scale(unit, truth):
    valid = np.random.default_rng(6).random(truth.shape) > 0.3
    said = truth if unit != "inverse" else 1 / truth
    wild = np.where(valid, said, 50 * said).astype(np.float32)
    one, usable = aligned_distance(Field("depth", said.astype(np.float32), valid, unit, "ray"), CAMERAS)
    other, also = aligned_distance(Field("depth", wild, valid, unit, "ray"), CAMERAS)
    np.testing.assert_array_equal(usable, valid)
    np.testing.assert_array_equal(also, valid)
    np.testing.assert_allclose(one[valid], other[valid], rtol=1e-6)
    assert (other[~valid] > 0).all() or unit == "inverse"


@pytest.mark.parametrize("unit", ["scale", "inverse"])
@pytest.mark.parametrize("size", [1e-20, 1e-9, 1e-7, 1e6, 1e20])
def test_alignment_is_the_same_at_any_size_of_the_numbers(unit, size, truth, scales):
    """Of tiny inverse distances nothing was left beside the cosines of their offsets."""
    said = (truth if unit == "scale" else 1 / truth) * scales[:, None, None]
    valid = np.ones(said.shape, bool)
    one, _ = aligned_distance(Field("depth", said.astype(np.float32), valid, unit, "ray"), CAMERAS)
    other, usable = aligned_distance(Field("depth", (said * size).astype(np.float32), valid, unit, "ray"), CAMERAS)
    assert usable.all()
    ratio = other / one
    np.testing.assert_allclose(ratio, np.float32(size if unit == "scale" else 1 / size), rtol=1e-4)
