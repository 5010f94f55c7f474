"""Distances and confidences in few bytes: what a stored type cannot hold is not valid, never infinite, zero or coarse."""

from __future__ import annotations

import numpy as np
from numpy.typing import DTypeLike, NDArray

Valid = NDArray[np.bool_]


def stored_distances(distance: NDArray[np.floating], valid: Valid, dtype: DTypeLike) -> tuple[NDArray[np.floating], Valid]:
    """Distances in a floating type, zero where not valid, and where they are valid still.

    Below a type's least normal number it rounds by ever more, and at last to zero; so float16 holds 6.1e-5 to 65504 to 0.05 %.

    Parameters
    ----------
    distance : (...) array
        Anything where not ``valid``.
    valid : (...) bool
    dtype : float16 or float32

    Returns
    -------
    distance, valid : of the shape (...) that was given, the first of ``dtype``
    """
    limits = np.finfo(dtype)
    kept = valid & (distance >= limits.smallest_normal) & (distance <= limits.max)
    return np.where(kept, distance, 0).astype(dtype), kept


def view_factors(distance: NDArray[np.floating], valid: Valid) -> NDArray[np.float32]:
    """The power of two (N,) next to the median distance of each view (N, h, w); 1 for a view without any.

    Divided by it, distances of any unit lie in the middle of float16's range, and no digit is lost.
    """
    medians = [np.median(one[here]) if here.any() else 1.0 for one, here in zip(distance, valid)]
    return np.exp2(np.clip(np.rint(np.log2(medians)), -126, 127)).astype(np.float32)


def stored_confidence(confidence: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Confidence (N, h, w) of pixels, or (N, h, w, K) of their best classes, in 255 steps.

    A pixel's own, or its first class's, is one step at least if it is not zero: zero means that the pixel has no say.
    """
    steps = np.round(np.clip(np.nan_to_num(confidence), 0, 1) * 255).astype(np.uint8)
    first = (..., 0) if confidence.ndim == 4 else ...
    steps[first] = np.maximum(steps[first], confidence[first] > 0)
    return steps
