"""Distances and confidences in few bytes: what a stored type cannot hold is not valid, never infinite, zero or coarse.

What is rounded further, for storage that is ``compact``, stays in the type and in the range that it had: readers see no
difference but coarser steps.
"""

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


def with_bits(values: NDArray[np.float32], bits: int) -> NDArray[np.float32]:
    """Values (...) to the nearest of those that need no more bits of the mantissa; they err by 2 ** -(bits + 1) at most."""
    drop = np.finfo(np.float32).nmant - bits
    whole = np.ascontiguousarray(values, np.float32).view(np.uint32)
    return ((whole + np.uint32(1 << drop >> 1)) & np.uint32(0xFFFFFFFF << drop & 0xFFFFFFFF)).view(np.float32)


def in_steps(shares: NDArray[np.uint8], steps: int) -> NDArray[np.uint8]:
    """Shares (...) of 255 to the nearest of so many steps, a divisor of 255; what is not zero stays one step at least."""
    step = 255 // steps
    table = np.maximum(np.rint(np.arange(256) / step), 1) * step
    table[0] = 0
    return table.astype(np.uint8)[shares]


def in_fours(shares: NDArray[np.uint8], steps: int) -> NDArray[np.uint8]:
    """Shares (H, W) of 255, the mean over those of two by two pixels that are not zero, in so many steps; zeros stay."""
    height, width = shares.shape
    even = np.pad(shares, ((0, height % 2), (0, width % 2))) if height % 2 or width % 2 else shares

    def summed(values: NDArray[np.integer]) -> NDArray[np.integer]:
        rows = values[::2] + values[1::2]
        return rows[:, ::2] + rows[:, 1::2]

    total, told = summed(even.astype(np.uint16)), np.maximum(summed((even > 0).view(np.uint8)), 1)
    mean = in_steps(((total + told // 2) // told).astype(np.uint8), steps)
    return mean.repeat(2, axis=1).repeat(2, axis=0)[:height, :width] * (shares > 0)


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
