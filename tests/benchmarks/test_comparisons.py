"""Comparisons over seeds: how often intervals hold the truth, and how often a table tells of an effect that is none."""

from itertools import combinations

import numpy as np
import pytest
from scipy.stats import ttest_rel

from benchmarks.comparisons import holm, over_seeds, stars, two_seeds

SEEDS = 5
DRAWS = {
    "normal": lambda generator: generator.normal(0, 1, SEEDS),
    "moderately skewed": lambda generator: generator.gamma(6, 1, SEEDS) - 6,
    "of two skewed arms": lambda generator: generator.exponential(2, SEEDS) - generator.exponential(2, SEEDS),
}


def test_paired_differences_are_those_of_the_paired_t_test():
    ours, reference = np.random.default_rng(0).normal(1, 0.1, (2, SEEDS))
    found, oracle = over_seeds(ours - reference), ttest_rel(ours, reference)
    ends = oracle.confidence_interval(0.95)
    assert (found.low, found.high, found.chance) == pytest.approx((ends.low, ends.high, oracle.pvalue))
    assert found.mean == pytest.approx(ours.mean() - reference.mean())


@pytest.mark.parametrize("draw", DRAWS.values(), ids=DRAWS)
def test_95_per_cent_of_the_intervals_over_five_seeds_hold_the_truth(draw):
    generator = np.random.default_rng(1)
    found = [over_seeds(draw(generator)) for _ in range(3000)]
    assert 0.93 <= np.mean([one.low <= 0 <= one.high for one in found]) <= 0.97
    assert 0.03 <= np.mean([one.chance < 0.05 for one in found]) <= 0.07


def test_a_bootstrap_of_five_seeds_would_hold_it_less_often():
    generator, held = np.random.default_rng(2), []
    for _ in range(500):
        means = DRAWS["normal"](generator)[generator.integers(SEEDS, size=(500, SEEDS))].mean(axis=1)
        held.append(np.percentile(means, 2.5) <= 0 <= np.percentile(means, 97.5))
    assert np.mean(held) < 0.88


def test_holm_is_the_closed_test_of_bonferroni():
    # An hypothesis is rejected if every set that holds it is; of a set, Bonferroni's chance is its least one times its size.
    chances = np.random.default_rng(3).uniform(0, 0.3, 6)
    sets = [group for size in range(1, 7) for group in combinations(range(6), size)]
    closed = [max(min(1, len(group) * chances[list(group)].min()) for group in sets if own in group) for own in range(6)]
    np.testing.assert_allclose(holm(chances), closed)
    np.testing.assert_allclose(holm([np.nan, *chances]), [np.nan, *closed])


def test_a_table_of_nothing_has_a_star_in_five_of_a_hundred():
    generator = np.random.default_rng(4)
    tables = [[over_seeds(DRAWS["normal"](generator)) for _ in range(24)] for _ in range(300)]
    assert 0.02 <= np.mean([any(stars(table)) for table in tables]) <= 0.08
    assert np.mean([any(one.chance < 0.05 for one in table) for table in tables]) > 0.6  # without Holm
    assert stars([over_seeds([0.9, 1.0, 1.1, 1.05, 0.95]), None]) == [" *", ""]


def test_what_cannot_be_said_is_nan():
    alone, gap, none = over_seeds([2.0]), over_seeds([2.0, np.nan, 1.0]), over_seeds([])
    assert alone.mean == 2
    assert np.isnan([alone.low, alone.chance, gap.mean, none.mean, two_seeds([1.0])]).all()
    assert stars([alone, gap, none]) == ["", "", ""]
    same = over_seeds([0.25] * 5)
    assert (same.mean, same.low, same.high, same.chance) == (0.25, 0.25, 0.25, 0)
    assert over_seeds([0.0] * 5).chance == 1


def test_two_seeds_lie_apart_by_the_root_of_the_mean_square():
    values = np.random.default_rng(5).normal(size=7)
    assert two_seeds(values) == pytest.approx(np.sqrt(np.mean([(a - b) ** 2 for a, b in combinations(values, 2)])))
