"""Which prediction belongs to which true segment, given the IoU of every pair. Every metric of the suite matches here."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

Mask = NDArray[np.bool_]
Integers = NDArray[np.integer]
Floats = NDArray[np.floating]
Pairs = tuple[Integers, Integers]
"""Indices of true segments, and of the predictions they are matched with."""


def ious(shared: Integers, unions: Integers) -> Floats:
    """Intersection over union (N, M) float64; 0 where the union is empty."""
    return np.where(unions > 0, shared / np.maximum(unions, 1), 0.0)


def every_pair(iou: Floats, threshold: float = 0.5) -> Pairs:
    """All pairs above the threshold.

    Segments of one image that do not overlap have at most one partner above 0.5, so that this is one-to-one for them. For
    masks that overlap it is not: it is what the release does.
    """
    truth, prediction = np.nonzero(iou > threshold)
    return truth, prediction


def one_to_one(iou: Floats, threshold: float = 0.5) -> Pairs:
    """The pairs above the threshold with the largest sum of IoU that use each segment at most once (Hungarian)."""
    allowed = np.where(iou > threshold, iou, 0.0)
    truth, prediction = linear_sum_assignment(allowed, maximize=True)
    above = allowed[truth, prediction] > 0
    return truth[above], prediction[above]


def by_score(iou: Floats, scores: Floats, thresholds: Floats) -> Mask:
    """Surest first, each prediction takes the free true object of largest IoU above the threshold.

    Parameters
    ----------
    iou : (N, M) float, true objects by predictions
    scores : (M,) float; of equal scores the first in order comes first
    thresholds : (T,) float

    Returns
    -------
    (N, M, T) bool: matched pairs, one-to-one at each threshold
    """
    matched = np.zeros((*iou.shape, len(thresholds)), bool)
    if not iou.size:
        return matched
    free = np.ones((len(iou), len(thresholds)), bool)
    level = np.arange(len(thresholds))
    for prediction in np.argsort(-scores, kind="stable"):
        possible = np.where(free & (iou[:, prediction, None] > thresholds), iou[:, prediction, None], 0.0)
        best = possible.argmax(axis=0)
        hit = possible[best, level] > 0
        matched[best[hit], prediction, level[hit]] = True
        free[best[hit], level[hit]] = False
    return matched


def surest_per_truth(iou: Floats, scores: Floats, thresholds: Floats) -> Mask:
    """For each true object the surest prediction above the threshold, as Cityscapes' script has it, (N, M, T) bool.

    One prediction can serve two true objects if their masks overlap.
    """
    above = iou[..., None] > thresholds
    matched = np.zeros_like(above)
    if not iou.size:
        return matched
    best = np.where(above, scores[None, :, None], -np.inf).argmax(axis=1)
    truth, level = np.nonzero(above.any(axis=1))
    matched[truth, best[truth, level], level] = True
    return matched
