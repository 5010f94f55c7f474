"""Class-wise self-tuning thresholds of omni pseudo-labels (UNLOCK eq. 4), from histograms that blocks add up."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.integer]
Floats = NDArray[np.floating]
BINS = 2**14
"""Of a histogram over scores 0 to 1. A threshold lies at most 1 / BINS below the one that sorting all scores would give."""


@dataclass(frozen=True)
class Rule:
    """A threshold is the lower of ``fixed`` and the score that ``share`` of all predictions of the class reach.

    Predictions below ``least`` do not count as such.
    """

    fixed: float
    share: float
    least: float = 0.05

    def __post_init__(self) -> None:
        for name in ("fixed", "share", "least"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"a threshold rule's {name} must be from 0 to 1, not {getattr(self, name)}")


AMODAL, INSTANCE, SEMANTIC = Rule(0.3, 0.5), Rule(0.5, 0.3), Rule(0.5, 0.8, 0.0)
POOL = Rule(0.9, 0.15)
"""Of the object pool: the best of the paper's Table 18; its text on the set-up says 0.95 and 0.1."""


@dataclass(frozen=True, eq=False)
class ScoreHistogram:
    """How many predictions of each class have which score: ``counts`` (C, BINS) int64. ``+`` joins two sets of images."""

    counts: NDArray[np.int64]

    def __add__(self, other: ScoreHistogram) -> ScoreHistogram:
        return ScoreHistogram(self.counts + other.counts)


def score_histogram(scores: Floats, labels: Integers, classes: int, least: float = 0.0) -> ScoreHistogram:
    """Histogram of one image's objects, or of its pixels.

    Parameters
    ----------
    scores : (...) float from 0 to 1
    labels : (...) int; those outside 0 .. classes - 1 do not count
    least : scores below it do not count

    Raises
    ------
    ValueError
        If a score is not from 0 to 1.
    """
    scores, labels = np.asarray(scores).ravel(), np.asarray(labels).ravel()
    if scores.size and not (scores.min() >= 0 and scores.max() <= 1):
        raise ValueError(f"scores must be from 0 to 1, but they span {scores.min()} to {scores.max()}")
    counted = (scores >= least) & (labels >= 0) & (labels < classes)
    bins = np.minimum((scores[counted] * BINS).astype(np.int64), BINS - 1)
    flat = labels[counted].astype(np.int64) * BINS + bins
    return ScoreHistogram(np.bincount(flat, minlength=classes * BINS).reshape(classes, BINS))


def class_thresholds(histogram: ScoreHistogram, rule: Rule) -> Floats:
    """Thresholds (C,) float64; predictions with at least that score are kept.

    Notes
    -----
    With the n scores of a class in falling order, the self-tuned one is that at index round(n * share), or the last if there is
    none; halves round to even. From a histogram it is the lower edge of that score's bin. A class without predictions gets
    ``fixed``.
    """
    total = histogram.counts.sum(axis=1)
    rank = np.minimum(np.rint(total * rule.share).astype(np.int64), total - 1)
    from_above = histogram.counts[:, ::-1].cumsum(axis=1)
    bins = BINS - 1 - (from_above > rank[:, None]).argmax(axis=1)
    return np.where(total > 0, np.minimum(rule.fixed, bins / BINS), rule.fixed)
