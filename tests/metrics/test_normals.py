"""Normal figures against rotations of known angle."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metrics.normals import NAMES, angles, normal_figures, normal_sums, normals_from_sums, weighted_median


def tilted(degrees):
    """Vectors at the given angles from +z."""
    radians = np.radians(np.asarray(degrees, float))
    return np.stack([np.sin(radians), np.zeros_like(radians), np.cos(radians)], axis=-1)


def test_known_angles():
    degrees = np.array([0.0, 4.0, 10.0, 20.0, 28.0, 90.0])
    truth = tilted(np.zeros(6))
    figures = normal_figures(tilted(degrees) * 3, truth, np.ones(6, bool), np.ones(6))
    assert figures["mean"] == pytest.approx(degrees.mean())
    assert figures["median"] == pytest.approx(10)
    shares = [figures[name] for name in ("within_5", "within_11_25", "within_22_5", "within_30")]
    assert shares == pytest.approx([2 / 6, 3 / 6, 4 / 6, 5 / 6])


def test_weights_count():
    figures = normal_figures(tilted([0.0, 60.0]), tilted([0.0, 0.0]), np.ones(2, bool), np.array([1.0, 3.0]))
    assert figures["mean"] == pytest.approx(45)
    assert figures["median"] == pytest.approx(60)
    assert figures["within_5"] == pytest.approx(0.25)


@pytest.mark.parametrize("bad", [0.0, np.nan])
def test_unusable_pixels_do_not_count_as_zero_degrees(bad):
    prediction, truth = tilted([40.0, 0.0, 0.0]), tilted([0.0, 0.0, 0.0])
    prediction[1] = bad
    figures = normal_figures(prediction, truth, np.array([True, True, False]), np.ones(3))
    assert figures["mean"] == pytest.approx(40)
    assert figures["within_30"] == 0
    assert normal_figures(np.full((3, 3), bad), truth, np.ones(3, bool), np.ones(3)) == dict.fromkeys(NAMES)


def test_empty_mask_gives_none():
    vectors = tilted([0.0, 1.0])
    assert normal_figures(vectors, vectors, np.zeros(2, bool), np.ones(2)) == dict.fromkeys(NAMES)


@given(st.floats(1e-7, 179.9))
@settings(max_examples=50, deadline=None)
def test_angles_are_exact_when_small_and_when_large(degrees):
    assert angles(tilted([degrees]), tilted([0.0]))[0] == pytest.approx(degrees, rel=1e-6)


@given(st.lists(st.tuples(st.floats(-10, 10), st.integers(1, 4)), min_size=1, max_size=20))
@settings(max_examples=50, deadline=None)
def test_weighted_median_is_the_lower_median_of_repeats(pairs):
    values, counts = np.array([pair[0] for pair in pairs]), np.array([pair[1] for pair in pairs])
    repeated = np.sort(np.repeat(values, counts))
    assert weighted_median(values, counts.astype(float)) == repeated[(len(repeated) - 1) // 2]


def test_root_mean_square():
    figures = normal_figures(tilted([30.0, 40.0]), tilted([0.0, 0.0]), np.ones(2, bool), np.ones(2))
    assert figures["rmse"] == pytest.approx(np.sqrt((30**2 + 40**2) / 2))


def test_angles_match_the_arc_cosine():
    generator = np.random.default_rng(0)
    one, other = generator.normal(size=(2, 100, 3))
    cosine = (one * other).sum(-1) / np.linalg.norm(one, axis=-1) / np.linalg.norm(other, axis=-1)
    np.testing.assert_allclose(angles(one, other), np.degrees(np.arccos(cosine)), rtol=1e-9)


def test_added_sums_pool_the_pixels():
    generator = np.random.default_rng(1)
    parts = [(generator.normal(size=(n, 3)), generator.normal(size=(n, 3)), np.ones(n, bool), np.ones(n)) for n in (40, 300)]
    sums = [normal_sums(*part) for part in parts]
    pooled = normals_from_sums({name: np.add(sums[0][name], sums[1][name]) for name in sums[0]})
    exact = normal_figures(*(np.concatenate(arrays) for arrays in zip(*parts)))
    assert pooled.pop("median") == pytest.approx(exact.pop("median"), abs=5)  # bins are 5 degrees wide beyond 90
    assert pooled == pytest.approx(exact)


@given(st.floats(0, 29.9))
@settings(max_examples=30, deadline=None)
def test_the_histograms_median_is_good_to_a_bin(degrees):
    sums = normal_sums(tilted([degrees] * 3), tilted([0.0] * 3), np.ones(3, bool), np.ones(3))
    assert normals_from_sums(sums)["median"] == pytest.approx(degrees, abs=0.25)
