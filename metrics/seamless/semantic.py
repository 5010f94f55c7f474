"""mIoU over the classes of the suite; pixels of the truth outside 0 .. classes - 1 (255, say) do not count."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from metrics.semantics import class_ious, confusion

Integers = NDArray[np.integer]
Floats = NDArray[np.floating]


def semantic_counts(prediction: Integers, truth: Integers, classes: int) -> Floats:
    """Confusion of one image, (classes, classes + 1) float64; add them over images.

    Both maps (H, W) int. A prediction outside the classes counts as wrong.
    """
    if prediction.shape != truth.shape:
        raise ValueError(f"prediction is {prediction.shape}, truth {truth.shape}")
    counted = np.ones(truth.shape, bool)
    return confusion(prediction, truth, counted, np.ones(truth.shape), classes)


def miou(counts: Floats) -> tuple[float | None, list[float | None]]:
    """Mean IoU and that of every class; a class that is neither there nor predicted is None and not in the mean."""
    each = class_ious(counts, "union")
    known = [value for value in each if value is not None]
    return (float(np.mean(known)) if known else None), each
