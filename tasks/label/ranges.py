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


def stored_finite(values: NDArray, valid: Valid) -> tuple[NDArray, Valid]:
    """Values (N, h, w[, C]) of any type, zero where they are not finite, and where (N, h, w) they are valid still."""
    if np.issubdtype(values.dtype, np.integer) or (finite := np.isfinite(values)).all():
        return values, valid
    if values.ndim == valid.ndim:
        return np.where(finite, values, np.zeros((), values.dtype)), valid & finite
    finite = finite.all(axis=-1)  # slow, and rarely needed
    return np.where(finite[..., None], values, np.zeros((), values.dtype)), valid & finite


def stored_confidence(confidence: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Confidence (N, h, w) of pixels, or (N, h, w, K) of their best classes, in 255 steps.

    A pixel's own, or its first class's, is one step at least if it is not zero: zero means that the pixel has no say.
    """
    steps = np.empty(confidence.shape, np.uint8)
    for rounded, one in zip(steps, confidence):  # a view fits in a core's cache, and all of them do not
        share = np.clip(one, 0, 1)
        share[np.isnan(share)] = 0
        np.rint(np.multiply(share, 255, out=share), out=share)
        np.copyto(rounded, share, casting="unsafe")
    first = (..., 0) if confidence.ndim == 4 else ...
    steps[first] = np.maximum(steps[first], confidence[first] > 0)
    return steps
