"""Bootstrap intervals against SciPy's."""

import numpy as np
import pytest
from scipy.stats import bootstrap

from metrics.bootstrap import bootstrap_intervals, column_means


def test_interval_of_a_mean_matches_scipy():
    values = np.random.default_rng(0).exponential(size=60)
    low, high = bootstrap_intervals(*column_means(values[:, None]), seed=1, resamples=4000)
    oracle = bootstrap((values,), np.mean, method="percentile", n_resamples=4000, rng=2).confidence_interval
    assert [low[0], high[0]] == pytest.approx([oracle.low, oracle.high], abs=0.1 * (oracle.high - oracle.low))


def test_gaps_are_left_out_and_an_empty_column_is_nan():
    sums, means = column_means(np.array([[1.0, np.nan, np.nan], [3.0, 5.0, np.nan]]))
    np.testing.assert_array_equal(means(sums.sum(axis=0)), [2, 5, np.nan])
    low, high = bootstrap_intervals(sums, means, resamples=50)
    np.testing.assert_array_equal(low, [1, 5, np.nan])
    np.testing.assert_array_equal(high, [3, 5, np.nan])


def test_a_seed_fixes_the_interval():
    sums, means = column_means(np.random.default_rng(3).normal(size=(20, 2)))
    once, again, other = (bootstrap_intervals(sums, means, seed, 200) for seed in (4, 4, 5))
    np.testing.assert_array_equal(once, again)
    assert not np.array_equal(once, other)
