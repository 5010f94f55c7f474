"""Intervals over panoramas: those of SciPy's t for means, and how often they hold the truth."""

import numpy as np
import pytest
from scipy.stats import ttest_1samp

from metrics.intervals import MOST_GROUPS, column_means, jackknife_intervals
from metrics.semantics import semantic_figures

NORMAL = (lambda generator, count: generator.normal(1, 0.3, count), 1)
SKEWED = (lambda generator, count: generator.gamma(6, 1 / 6, count), 1)


def ratio(sums):
    """Of a sum of errors to a sum of weights."""
    return sums[:1] / sums[1:]


def test_interval_of_a_mean_is_the_t_interval():
    values = np.random.default_rng(0).exponential(size=9)
    low, high = jackknife_intervals(*column_means(values[:, None]), level=0.9)
    oracle = ttest_1samp(values, 0).confidence_interval(0.9)
    assert (low[0], high[0]) == pytest.approx((oracle.low, oracle.high))


@pytest.mark.parametrize("count", [5, 8, 30])
@pytest.mark.parametrize(("draw", "truth"), [NORMAL, SKEWED], ids=["normal", "skewed"])
def test_95_per_cent_of_the_intervals_of_a_mean_hold_the_truth(draw, truth, count):
    generator, trials = np.random.default_rng(count), 4000
    # Each trial a column: all intervals at once.
    low, high = jackknife_intervals(*column_means(np.stack([draw(generator, count) for _ in range(trials)], axis=1)))
    assert 0.93 <= np.mean((low <= truth) & (truth <= high)) <= 0.97


@pytest.mark.parametrize("count", [8, 30])
def test_intervals_of_ratios_of_sums_hold_the_truth(count):
    generator, held = np.random.default_rng(count), []
    for _ in range(1500):
        weights = generator.uniform(0.5, 1.5, count)
        low, high = jackknife_intervals(np.stack([weights * generator.normal(1, 0.3, count), weights], axis=1), ratio)
        held.append(low[0] <= 1 <= high[0])
    assert 0.93 <= np.mean(held) <= 0.97


def test_a_percentile_bootstrap_of_few_would_not():
    generator, held = np.random.default_rng(0), []
    for _ in range(500):
        values = generator.normal(1, 0.3, 8)
        low, high = np.percentile(values[generator.integers(8, size=(500, 8))].mean(axis=1), [2.5, 97.5])
        held.append(low <= 1 <= high)
    assert np.mean(held) < 0.9


def test_gaps_are_left_out_and_what_one_panorama_alone_has_gets_no_interval():
    values = np.array([[1.0, np.nan, np.nan, 2.0], [3.0, 5.0, np.nan, np.nan], [2.0, np.nan, np.nan, 2.5]])
    sums, means = column_means(values)
    np.testing.assert_array_equal(means(sums.sum(axis=0)), [2, 5, np.nan, 2.25])
    low, high = jackknife_intervals(sums, means)
    for column in (0, 3):
        known = values[np.isfinite(values[:, column]), column]
        oracle = ttest_1samp(known, 0).confidence_interval()
        assert (low[column], high[column]) == pytest.approx((oracle.low, oracle.high))
    assert np.isnan([low[1:3], high[1:3]]).all()


def test_one_panorama_has_no_interval():
    assert np.isnan(jackknife_intervals(*column_means(np.array([[1.0]])))).all()


def test_a_class_that_one_panorama_has_goes_with_it_in_spite_of_rounding():
    matrices = np.full((3, 2, 3), 0.1)
    matrices[1:, 1] = 0
    matrices[:, 0, 0] = (0.3, 0.7, 0.2)

    def miou(total):
        return np.array([semantic_figures(total.reshape(2, 3))["miou"]])

    low, high = jackknife_intervals(matrices.reshape(3, -1), miou)
    without = [miou(matrices[[k for k in range(3) if k != own]].sum(axis=0)) for own in range(3)]
    error = np.sqrt(2 / 3 * np.square(without - np.mean(without)).sum())
    assert (high - low)[0] == pytest.approx(2 * 4.302653 * error)  # t(2) of a table


def test_many_panoramas_are_left_out_in_groups():
    values = np.random.default_rng(1).gamma(4, size=3 * MOST_GROUPS + 7)
    low, high = jackknife_intervals(*column_means(values[:, None]))
    oracle = ttest_1samp(values, 0).confidence_interval()
    assert high[0] - low[0] == pytest.approx(oracle.high - oracle.low, rel=0.1)
    assert (low[0] + high[0]) / 2 == pytest.approx(values.mean())
