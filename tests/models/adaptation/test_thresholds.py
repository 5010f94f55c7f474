"""Thresholds from histograms against sorting every score."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.adaptation.thresholds import AMODAL, BINS, INSTANCE, SEMANTIC, Rule, ScoreHistogram, class_thresholds, score_histogram


def by_sorting(scores: np.ndarray, rule: Rule) -> float:
    falling = np.sort(scores[scores >= rule.least])[::-1]
    if not len(falling):
        return rule.fixed
    return min(rule.fixed, float(falling[min(round(len(falling) * rule.share), len(falling) - 1)]))


@given(
    st.lists(st.floats(0, 1, width=32), max_size=40),
    st.sampled_from([AMODAL, INSTANCE, SEMANTIC, Rule(0.95, 0.1), Rule(0.5, 0.0), Rule(1, 1, 0)]),
)
@settings(max_examples=200, deadline=None)
def test_thresholds_are_those_of_sorting_within_a_bin(scores: list[float], rule: Rule) -> None:
    given_scores = np.array(scores, np.float64)
    histogram = score_histogram(given_scores, np.zeros(len(scores), int), 1, rule.least)
    found, exact = class_thresholds(histogram, rule)[0], by_sorting(given_scores, rule)
    assert exact - 1 / BINS <= found <= exact


def test_blocks_add_up_to_the_whole_and_memory_stays() -> None:
    generator = np.random.default_rng(0)
    scores, labels = generator.beta(2, 5, 60_000).astype(np.float32), generator.integers(0, 3, 60_000)
    parts = [score_histogram(scores[i::7], labels[i::7], 4) for i in range(7)]
    whole = score_histogram(scores, labels, 4)
    np.testing.assert_array_equal(sum(parts[1:], parts[0]).counts, whole.counts)
    assert whole.counts.nbytes == score_histogram(scores[:3], labels[:3], 4).counts.nbytes
    rule = Rule(0.9, 0.25)
    found = class_thresholds(whole, rule)
    for label in range(3):
        own = scores[labels == label]
        assert found[label] == pytest.approx(by_sorting(own, Rule(0.9, 0.25, 0)), abs=1 / BINS)
        assert np.mean(own >= found[label]) == pytest.approx(0.25, abs=0.01)
    assert found[3] == 0.9, "no prediction, so nothing to tune by"


def test_one_object_in_the_whole_data_set() -> None:
    # round(1 * 0.8) = 1 would be past the end.
    lone = score_histogram(np.array([0.25]), np.array([0]), 1)
    assert class_thresholds(lone, Rule(0.5, 0.8)).tolist() == [0.25]
    assert class_thresholds(lone, Rule(0.1, 0.8)).tolist() == [0.1]


def test_the_lower_of_the_two_is_taken() -> None:
    sure, unsure = np.array([0.9, 0.8, 0.7, 0.6]), np.array([0.4, 0.3, 0.2, 0.1])
    histogram = score_histogram(np.concatenate([sure, unsure]), np.repeat([0, 1], 4), 2)
    np.testing.assert_allclose(class_thresholds(histogram, Rule(0.5, 0.5)), [0.5, 0.2], atol=1 / BINS)


def test_what_does_not_count() -> None:
    histogram = score_histogram(np.array([0.04, 0.5, 0.6]), np.array([0, 0, 255]), 1, least=0.05)
    assert histogram.counts.sum() == 1
    assert isinstance(histogram + histogram, ScoreHistogram)
    assert score_histogram(np.array([1.0]), np.array([0]), 1).counts[0, -1] == 1
    for bad in ([1.5], [-0.1], [np.nan]):
        with pytest.raises(ValueError, match="scores must be from 0 to 1"):
            score_histogram(np.array(bad), np.array([0]), 1)
    with pytest.raises(ValueError, match="share must be from 0 to 1"):
        Rule(0.5, 50)
