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
    prediction: NDArray[np.integer],
    truth: NDArray[np.integer],
    valid: NDArray[np.bool_],
    weights: Array,
    classes: int,
    unmatched: str = "wrong",
) -> Array:
    """Weight of pixels by true class (rows) and predicted class (columns), (classes, classes + 1) float64.

    The last column takes predictions outside the truth's vocabulary (-1): always wrong, or not counted at all if ``unmatched``
    is ``"ignore"``. Pixels that are not valid, or whose truth is outside, do not count.
    """
    usable = valid & (truth >= 0) & (truth < classes)
    if unmatched == "ignore":
        usable &= (prediction >= 0) & (prediction < classes)
    said = prediction[usable].astype(np.int64)
    said = np.where((said >= 0) & (said < classes), said, classes)
    flat = truth[usable].astype(np.int64) * (classes + 1) + said
    counted: Array = np.bincount(flat, weights[usable].astype(np.float64), classes * (classes + 1)).astype(np.float64)
    return counted.reshape(classes, classes + 1)


def class_ious(matrix: Array, present: str = "truth") -> list[float | None]:
    """Intersection over union of every class; None where it is absent.

    ``present``: ``"truth"`` asks for a pixel of it in the truth, ``"union"`` for one in the truth or the prediction.
    """
    hit = np.diag(matrix)
    true, said = matrix.sum(axis=1), matrix[:, : len(matrix)].sum(axis=0)
    union = true + said - hit
    counted = (true if present == "truth" else union) > 0
    return [float(hit[index] / union[index]) if counted[index] else None for index in range(len(matrix))]


def semantic_figures(matrix: Array) -> dict[str, float | None]:
    """mIoU and mean accuracy over the classes present in the truth, and pixel accuracy; None if there is no pixel.

    ``miou_union`` also counts, as 0, classes that were only predicted.
    """
    ious = [iou for iou in class_ious(matrix) if iou is not None]
    if not ious:
        return dict.fromkeys(("miou", "miou_union", "pixel_accuracy", "mean_accuracy"))
    true = matrix.sum(axis=1)
    present = true > 0
    return {
        "miou": float(np.mean(ious)),
        "miou_union": float(np.mean([iou for iou in class_ious(matrix, "union") if iou is not None])),
        "pixel_accuracy": float(np.trace(matrix) / true.sum()),
        "mean_accuracy": float((np.diag(matrix)[present] / true[present]).mean()),
    }
