"""How well a confidence tells good labels from bad: risk-coverage curves, the area under them, and rank correlation.

Labels are taken from the most confident on. Coverage is the share taken, risk their mean error. Where confidences are equal, each
order is as likely as the other, so ties take the mean error of all that are tied: no figure depends on the order of the data.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]


def risk_coverage(confidence: Array, error: Array, weights: Array | None = None) -> tuple[Array, Array]:
    """The curve, from the most confident label on.

    Parameters
    ----------
    confidence, error : (N,) finite arrays
    weights : (N,) not negative, optional
        Of each label, such as its solid angle; 1 by default.

    Returns
    -------
    coverage, risk : (G,) float64
        One point for each of the G different confidences; the last is the coverage 1 with the mean error.

    Raises
    ------
    ValueError
        If the shapes differ, a value is not finite, or there is no weight.
    """
    confidence, error, weights = _checked(confidence, error, weights)
    _, group = np.unique(-confidence, return_inverse=True)
    own = np.bincount(group, weights)
    kept = own > 0
    taken = np.cumsum(own[kept])
    return taken / taken[-1], np.cumsum(np.bincount(group, weights * error)[kept]) / taken


def aurc(confidence: Array, error: Array, weights: Array | None = None) -> float:
    """Area under the risk-coverage curve: the mean, over all coverages, of the mean error of what is taken; lower is better.

    Exact for the data as they stand: between two points of the curve labels of one confidence come in, and risk goes as
    ``(a + b c) / c`` with the coverage c, of which the integral is taken.
    """
    coverage, risk = risk_coverage(confidence, error, weights)
    total = coverage * risk
    start, first = np.concatenate([[0.0], coverage[:-1]]), np.concatenate([[0.0], total[:-1]])
    slope = (total - first) / (coverage - start)
    constant = first - slope * start
    # Before the first point the risk is constant, and its constant part is zero but for rounding.
    logs = np.log(coverage[1:] / start[1:])
    return float((slope * (coverage - start)).sum() + (constant[1:] * logs).sum())


def aurc_gain(confidence: Array, error: Array, weights: Array | None = None) -> float:
    """How much of what can be gained is: 0 for a confidence that says nothing, 1 for the oracle's, negative if it misleads.

    ``(mean error - AURC) / (mean error - AURC of the oracle)``: a random order has the mean error at every coverage, the oracle
    takes the smallest errors first. NaN where all errors are the same.
    """
    confidence, error, weights = _checked(confidence, error, weights)
    mean, best = float(np.average(error, weights=weights)), aurc(-error, error, weights)
    return (mean - aurc(confidence, error, weights)) / (mean - best) if mean - best > 1e-12 * max(abs(mean), 1e-300) else np.nan


def spearman(one: Array, other: Array, weights: Array | None = None) -> float:
    """Rank correlation; ties have their mean rank. With weights, each label counts as so many of its kind.

    NaN where either is constant. Whole-number weights give what repeating the labels gives.
    """
    one, other, weights = _checked(one, other, weights)
    first, second = (_ranks(values, weights) for values in (one, other))
    first -= np.average(first, weights=weights)
    second -= np.average(second, weights=weights)
    spread = np.sqrt((weights * first**2).sum() * (weights * second**2).sum())
    return float((weights * first * second).sum() / spread) if spread > 0 else np.nan


def _ranks(values: Array, weights: Array) -> Array:
    """The middle of the run of weight that each value's ties take among all, sorted."""
    _, group = np.unique(values, return_inverse=True)
    own = np.bincount(group, weights)
    middle: Array = np.cumsum(own) - own / 2
    return middle[group]


def _checked(one: Array, other: Array, weights: Array | None) -> tuple[Array, Array, Array]:
    one, other = np.asarray(one, np.float64).ravel(), np.asarray(other, np.float64).ravel()
    weights = np.ones(len(one)) if weights is None else np.asarray(weights, np.float64).ravel()
    if not len(one) == len(other) == len(weights):
        raise ValueError(f"need arrays of one length, got {len(one)}, {len(other)} and {len(weights)}")
    if not all(np.isfinite(array).all() for array in (one, other, weights)):
        raise ValueError("a value is not finite; leave out what cannot be judged")
    if (weights < 0).any() or not weights.any():
        raise ValueError("weights must not be negative, and some must be positive")
    return one, other, weights
