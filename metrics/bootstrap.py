"""Percentile bootstrap over panoramas: how far a figure would move with other panoramas of the same kind."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]


def bootstrap_intervals(
    items: Array, figures: Callable[[Array], Array], seed: int = 0, resamples: int = 1000, level: float = 0.95
) -> tuple[Array, Array]:
    """Low and high end (F,) of each figure's interval; NaN where no resample has the figure.

    Parameters
    ----------
    items : (N, K) sums per panorama that ``figures`` needs; finite
    figures : sums (K,) over panoramas -> figures (F,), NaN for one that is undefined
    seed, resamples, level : of the generator, how many, and the share of them inside the interval

    Notes
    -----
    A resample is how often each panorama is drawn, so that memory does not grow with ``resamples``.
    """
    generator = np.random.default_rng(seed)
    count = len(items)
    drawn = [np.bincount(generator.integers(count, size=count), minlength=count) @ items for _ in range(resamples)]
    resampled = np.stack([figures(sums) for sums in drawn])
    low, high = (np.full(resampled.shape[1], np.nan) for _ in range(2))
    for index, values in enumerate(resampled.T):
        if np.isfinite(values).any():
            tails = 100 * (1 - level) / 2
            low[index], high[index] = np.percentile(values[np.isfinite(values)], [tails, 100 - tails])
    return low, high


def column_means(values: Array) -> tuple[Array, Callable[[Array], Array]]:
    """A table (N, F) with NaN for gaps as ``items`` and ``figures`` of :func:`bootstrap_intervals`: means over what is known."""
    known = np.isfinite(values)
    sums = np.concatenate([np.where(known, values, 0), known.astype(np.float64)], axis=1)

    def means(total: Array) -> Array:
        value, count = np.split(total, 2)
        return np.where(count > 0, value / np.maximum(count, 1), np.nan)

    return sums, means
