"""Accuracy of semantic labels, from a confusion matrix."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]


def vocabulary_map(label_classes: Sequence[str], truth_classes: Sequence[str]) -> NDArray[np.int64]:
    """For each of the labels' classes its index among the truth's, by name whatever the case; -1 where the truth has none."""
    known = {name.casefold(): index for index, name in enumerate(truth_classes)}
    return np.array([known.get(name.casefold(), -1) for name in label_classes], np.int64)


def confusion(
    prediction: NDArray[np.integer], truth: NDArray[np.integer], valid: NDArray[np.bool_], weights: Array, classes: int
) -> Array:
    """Weight of pixels by true class (rows) and predicted class (columns), (classes, classes + 1) float64.

    The last column takes predictions outside the truth's vocabulary (-1): always wrong. Pixels that are not valid, or whose
    truth is outside, do not count.
    """
    usable = valid & (truth >= 0) & (truth < classes)
    said = prediction[usable].astype(np.int64)
    said = np.where((said >= 0) & (said < classes), said, classes)
    flat = truth[usable].astype(np.int64) * (classes + 1) + said
    counted: Array = np.bincount(flat, weights[usable].astype(np.float64), classes * (classes + 1)).astype(np.float64)
    return counted.reshape(classes, classes + 1)


def class_ious(matrix: Array) -> list[float | None]:
    """Intersection over union of every class; None where the truth has no pixel of it."""
    hit = np.diag(matrix)
    true, said = matrix.sum(axis=1), matrix[:, : len(matrix)].sum(axis=0)
    union = true + said - hit
    return [float(hit[index] / union[index]) if true[index] > 0 else None for index in range(len(matrix))]


def semantic_figures(matrix: Array) -> dict[str, float | None]:
    """mIoU and mean accuracy over the classes present in the truth, and pixel accuracy; None if there is no pixel."""
    ious = [iou for iou in class_ious(matrix) if iou is not None]
    if not ious:
        return {"miou": None, "pixel_accuracy": None, "mean_accuracy": None}
    true = matrix.sum(axis=1)
    present = true > 0
    return {
        "miou": float(np.mean(ious)),
        "pixel_accuracy": float(np.trace(matrix) / true.sum()),
        "mean_accuracy": float((np.diag(matrix)[present] / true[present]).mean()),
    }
