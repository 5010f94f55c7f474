"""Accuracy of surface normals, in degrees."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]
THRESHOLDS = {"within_5": 5.0, "within_11_25": 11.25, "within_22_5": 22.5, "within_30": 30.0}
NAMES = ("mean", "median", *THRESHOLDS)


def normal_figures(prediction: Array, truth: Array, valid: NDArray[np.bool_], weights: Array) -> dict[str, float | None]:
    """Mean, median and shares within 5, 11.25, 22.5 and 30 degrees (strict), weighted over valid pixels.

    Normals (..., 3) of any length but zero; ``valid`` and ``weights`` (...). A pixel that is invalid or has no direction never
    counts, least of all as 0 degrees; with no valid pixel every figure is None.
    """
    lengths = np.linalg.norm(prediction, axis=-1) * np.linalg.norm(truth, axis=-1)
    usable = valid & np.isfinite(lengths) & (lengths > 0)
    weight = weights[usable].astype(np.float64)
    if not weight.sum() > 0:
        return dict.fromkeys(NAMES)
    angle = angles(prediction[usable], truth[usable])

    def mean(values: NDArray) -> float:
        return float((weight * values).sum() / weight.sum())

    shares: dict[str, float | None] = {name: mean(angle < threshold) for name, threshold in THRESHOLDS.items()}
    return {"mean": mean(angle), "median": weighted_median(angle, weight), **shares}


def angles(one: Array, other: Array) -> Array:
    """Angle (...) between vectors (..., 3) in degrees; exact for small angles, where the arc cosine is not."""
    one, other = one.astype(np.float64), other.astype(np.float64)
    sine = np.linalg.norm(np.cross(one, other), axis=-1)
    return np.degrees(np.arctan2(sine, (one * other).sum(axis=-1)))


def weighted_median(values: Array, weights: Array) -> float:
    """The smallest value at which half of the weight is reached."""
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(reached, reached[-1] / 2)])
