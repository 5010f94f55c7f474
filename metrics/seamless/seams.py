"""How well objects are found that the panorama's border cuts in two: average precision of those alone."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from metrics.seamless.average_precision import SMALLEST, DetectionCounts, detection_counts
from metrics.seamless.objects import Objects

Mask = NDArray[np.bool_]


def crosses_seam(masks: Mask) -> Mask:
    """(N,) bool: masks (N, H, W) with pixels in the first and in the last column."""
    return np.any(masks[:, :, 0], axis=1) & np.any(masks[:, :, -1], axis=1)


def touches_seam(masks: Mask) -> Mask:
    """(N,) bool: masks (N, H, W) with pixels in the first or in the last column."""
    return np.any(masks[:, :, 0], axis=1) | np.any(masks[:, :, -1], axis=1)


def seam_detection_counts(
    prediction: Objects, truth: Objects, classes: int, void: Mask | None = None, smallest: int = SMALLEST
) -> DetectionCounts:
    """Counts of one image for the AP of objects across the seam.

    Only true objects that cross the seam count; only predictions that touch it can be false, so that an object found as two
    halves costs a miss and two false positives.
    """
    of_interest = touches_seam(prediction.masks), crosses_seam(truth.masks)
    return detection_counts(prediction, truth, classes, void, smallest, of_interest=of_interest)
