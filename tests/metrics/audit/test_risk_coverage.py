"""Risk-coverage figures against closed forms, brute force over orders, and scipy."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import spearmanr

from metrics.audit.risk_coverage import aurc, aurc_gain, risk_coverage, spearman

SMALL = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=2, max_size=30)


def test_the_curve_of_four_labels_by_hand():
    coverage, risk = risk_coverage([0.9, 0.2, 0.5, 0.4], [0, 4, 1, 3])
    np.testing.assert_allclose(coverage, [0.25, 0.5, 0.75, 1])
    np.testing.assert_allclose(risk, [0, 0.5, 4 / 3, 2])


def test_ties_take_the_mean_over_their_orders():
    confidence, error = np.array([3, 2, 2, 2, 1]), np.array([0.5, 1, 4, 7, 2])
    orders = [[0, *order, 4] for order in permutations((1, 2, 3))]
    risks = np.mean([np.cumsum(error[order]) / np.arange(1, 6) for order in orders], axis=0)
    coverage, risk = risk_coverage(confidence, error)
    np.testing.assert_allclose(coverage, [0.2, 0.8, 1])
    np.testing.assert_allclose(risk, risks[[0, 3, 4]])


@pytest.mark.parametrize("power", [1, 2])
def test_area_of_a_perfect_confidence_in_closed_form(power):
    # Errors x ** p of x uniform on 0..1: the risk at coverage c is c ** p / (p + 1), its area 1 / (p + 1) ** 2.
    error = ((np.arange(20_000) + 0.5) / 20_000) ** power
    assert aurc(-error, error) == pytest.approx(1 / (power + 1) ** 2, rel=1e-4)
    assert aurc(error, error) > error.mean()
    assert aurc_gain(-error, error) == pytest.approx(1)


def test_a_confidence_that_says_nothing_has_the_area_of_the_mean_error():
    error = np.random.default_rng(0).exponential(size=500)
    assert aurc(np.zeros(500), error) == pytest.approx(error.mean())
    assert aurc_gain(np.zeros(500), error) == pytest.approx(0, abs=1e-12)
    assert np.isnan(aurc_gain(np.arange(5), np.ones(5)))


def test_the_reversed_oracle_misleads_by_a_known_amount():
    # Errors uniform on 0..1, worst first: risk 1 - c / 2, area 3/4; mean 1/2; oracle 1/4.
    error = (np.arange(20_000) + 0.5) / 20_000
    assert aurc_gain(error, error) == pytest.approx(-1, rel=1e-3)


@settings(max_examples=40, deadline=None)
@given(SMALL)
def test_the_area_is_the_integral_of_the_curve(pairs):
    confidence, error = np.array(pairs).T
    coverage, risk = risk_coverage(confidence, error)
    total = np.concatenate([[0], coverage * risk])
    corners = np.concatenate([[0], coverage])

    def curve(at):
        return np.interp(at, corners, total) / at

    pieces = [quad(curve, *ends)[0] for ends in zip(np.maximum(corners[:-1], 1e-12), corners[1:])]
    assert aurc(confidence, error) == pytest.approx(sum(pieces), abs=1e-6)


@settings(max_examples=40, deadline=None)
@given(SMALL)
def test_spearman_is_scipys(pairs):
    one, other = np.array(pairs).T
    if np.ptp(one) == 0 or np.ptp(other) == 0:
        assert np.isnan(spearman(one, other))
    else:
        assert spearman(one, other) == pytest.approx(spearmanr(one, other).statistic, abs=1e-12)


@settings(max_examples=40, deadline=None)
@given(SMALL, st.data())
def test_a_whole_weight_counts_as_so_many_labels(pairs, data):
    weights = np.array(data.draw(st.lists(st.integers(0, 3), min_size=len(pairs), max_size=len(pairs))))
    if not weights.any():
        weights[0] = 1
    one, other = np.array(pairs).T
    many, others = np.repeat(one, weights), np.repeat(other, weights)
    np.testing.assert_allclose(risk_coverage(one, other, weights), risk_coverage(many, others))
    assert aurc(one, other, weights) == pytest.approx(aurc(many, others))
    assert spearman(one, other, weights) == pytest.approx(spearman(many, others), nan_ok=True, abs=1e-12)


def test_order_of_the_data_does_not_matter():
    generator = np.random.default_rng(1)
    confidence, error = generator.integers(0, 9, 200), generator.exponential(size=200)
    order = generator.permutation(200)
    for measure in (aurc, aurc_gain, spearman):
        assert measure(confidence, error) == pytest.approx(measure(confidence[order], error[order]))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([1, 2], [1]), "one length"),
        (([1, np.nan], [1, 2]), "not finite"),
        (([1, 2], [1, 2], [0, 0]), "some must be positive"),
        (([1, 2], [1, 2], [-1, 2]), "must not be negative"),
    ],
)
def test_what_cannot_be_measured_is_refused(arguments, message):
    for measure in (risk_coverage, aurc, aurc_gain, spearman):
        with pytest.raises(ValueError, match=message):
            measure(*arguments)
