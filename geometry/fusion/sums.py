"""Weighted sums over views, band by band: what normals and sky are fused with.

A view's values are packed with their weights once; a band then takes the nearest pixel of each view that sees it.
"""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from geometry.resampling.backproject import Band
from geometry.threads import WORKERS

FloatArray = NDArray[np.float32]
_Part = TypeVar("_Part")


def combined_weights(usable: NDArray[np.bool_], confidence: FloatArray | None, geometric: Sequence[FloatArray]) -> FloatArray:
    """What each view's pixels weigh.

    Parameters
    ----------
    usable : (N, h, w) bool
    confidence : (N, h, w) float32 or None
        The teacher's; None trusts all pixels alike.
    geometric : N arrays (h, w) float32
        Weight of each view's pixels by where they lie.

    Returns
    -------
    (N, h, w) float32
        Zero where not usable, or where the confidence is not a positive number.
    """
    weight = np.zeros(usable.shape, np.float32)

    def weigh(view: int) -> None:
        if confidence is None:
            np.copyto(weight[view], geometric[view], where=usable[view])
        else:
            trusted = usable[view] & np.isfinite(confidence[view]) & (confidence[view] > 0)
            np.multiply(confidence[view], geometric[view], out=weight[view], where=trusted)

    in_threads(weigh, range(len(usable)))
    return weight


def in_threads(work: Callable[[_Part], object], parts: Iterable[_Part]) -> None:
    """Views and bands are independent of each other, and numpy lets go of the interpreter while it works."""
    with ThreadPoolExecutor(WORKERS) as pool:
        list(pool.map(work, parts))


def all_finite(values: NDArray) -> NDArray[np.bool_]:
    """Whether all of the last axis is finite; one product instead of a slow reduction over few channels."""
    return np.isfinite(values @ np.ones(values.shape[-1], values.dtype))


def sum_band(band: Band, packed: Sequence[FloatArray], width: int) -> tuple[FloatArray, FloatArray]:
    """Sums over the views that see a band of rows.

    Parameters
    ----------
    band : its rows, and the views' boxes in it
    packed : N arrays (h * w + 1, C + 1) float32
        As :func:`pack_all` gives them.
    width : int
        W, of the panorama.

    Returns
    -------
    total : (rows, W, C + 1) float32
        Of nearest values times weight and, in the last channel, of weight.
    squares : (rows, W) float32
        Of squared weight.
    """
    rows, pairs = band
    total = np.zeros((rows.stop - rows.start, width, packed[0].shape[-1]), np.float32)
    squares = np.zeros(total.shape[:2], np.float32)
    for number, box in pairs:
        found = packed[number].take(box.pixel, axis=0, mode="clip")
        found *= box.nearness[..., None]
        total[:, box.columns] += found
        own = np.ascontiguousarray(found[..., -1])
        own *= own
        squares[:, box.columns] += own
    return total, squares


def pack_all(values: FloatArray, weight: FloatArray) -> list[FloatArray]:
    """Values (N, h, w, C) and weights (N, h, w) of all views, as :func:`sum_band` wants them."""
    with ThreadPoolExecutor(WORKERS) as pool:
        return list(pool.map(_pack, values, weight))


def _pack(values: FloatArray, weight: FloatArray) -> FloatArray:
    """(h * w + 1, C + 1) of one view: values times weight, and weight; the last row is "not seen"."""
    channels, own = values.shape[-1], weight.ravel()
    packed, flat = np.empty((own.size + 1, channels + 1), np.float32), values.reshape(-1, channels)
    packed[-1] = 0
    with np.errstate(invalid="ignore"):  # zero times infinity, cleared below
        for k in range(channels):
            np.multiply(flat[:, k], own, out=packed[:-1, k])
    packed[:-1, channels] = own
    if not own.all():
        packed[:-1][own == 0] = 0  # whatever was there, NaN included
    return packed
