"""Accuracy of surface normals, in degrees."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]
THRESHOLDS = {"within_5": 5.0, "within_11_25": 11.25, "within_22_5": 22.5, "within_30": 30.0}
NAMES = ("mean", "median", "rmse", *THRESHOLDS)
EDGES = np.concatenate([np.arange(0, 30, 0.25), np.arange(30, 90, 1.0), np.arange(90, 180.1, 5.0)])
"""Degrees. Edges of the histogram that a pooled median is read from; fine where medians lie."""


def normal_figures(prediction: Array, truth: Array, valid: NDArray[np.bool_], weights: Array) -> dict[str, float | None]:
    """Mean, median, root mean square and shares within 5, 11.25, 22.5 and 30 degrees (strict), weighted over valid pixels.

    Normals (..., 3) of any length but zero; ``valid`` and ``weights`` (...). A pixel that is invalid or has no direction never
    counts, least of all as 0 degrees; with no valid pixel every figure is None. The median is exact.
    """
    angle, weight = _usable_angles(prediction, truth, valid, weights)
    figures = normals_from_sums(_sums(angle, weight))
    return {**figures, "median": weighted_median(angle, weight)} if weight.sum() > 0 else figures


def normal_sums(prediction: Array, truth: Array, valid: NDArray[np.bool_], weights: Array) -> dict[str, Any]:
    """``weight`` of the pixels, weighted sums over them, and a weighted ``histogram`` (a list) of angles over :data:`EDGES`.

    Adding those of many panoramas, name by name, pools their pixels.
    """
    return _sums(*_usable_angles(prediction, truth, valid, weights))


def normals_from_sums(sums: Mapping[str, Any]) -> dict[str, float | None]:
    """The figures of :func:`normal_figures` from sums; the median is read from the histogram, so it is good to half a bin."""
    weight = sums["weight"]
    if not weight > 0:
        return dict.fromkeys(NAMES)
    return {
        "mean": sums["angle"] / weight,
        "median": histogram_median(np.asarray(sums["histogram"], np.float64)),
        "rmse": float(np.sqrt(sums["squared"] / weight)),
        **{name: sums[name] / weight for name in THRESHOLDS},
    }


def angles(one: Array, other: Array) -> Array:
    """Angle (...) between vectors (..., 3) in degrees; exact for small angles, where the arc cosine is not."""
    one, other = (vectors / np.linalg.norm(vectors, axis=-1, keepdims=True) for vectors in (np.float64(one), np.float64(other)))
    # Half the angle of two unit vectors is that between their sum and either: a rhombus halved by its diagonals.
    apart, along = one - other, one + other
    return np.degrees(2 * np.arctan2(np.sqrt((apart * apart).sum(axis=-1)), np.sqrt((along * along).sum(axis=-1))))


def weighted_median(values: Array, weights: Array) -> float:
    """The smallest value at which half of the weight is reached."""
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(reached, reached[-1] / 2)])


def histogram_median(histogram: Array) -> float:
    """The median of a weighted histogram (len(EDGES) - 1,), linear within its bin."""
    reached = np.concatenate([[0.0], np.cumsum(histogram)])
    bin_ = int(np.searchsorted(reached, reached[-1] / 2)) - 1
    share = (reached[-1] / 2 - reached[bin_]) / (reached[bin_ + 1] - reached[bin_])
    return float(EDGES[bin_] + share * (EDGES[bin_ + 1] - EDGES[bin_]))


def _usable_angles(prediction: Array, truth: Array, valid: NDArray[np.bool_], weights: Array) -> tuple[Array, Array]:
    lengths = np.linalg.norm(prediction, axis=-1) * np.linalg.norm(truth, axis=-1)
    usable = valid & np.isfinite(lengths) & (lengths > 0)
    return angles(prediction[usable], truth[usable]), weights[usable].astype(np.float64)


def _sums(angle: Array, weight: Array) -> dict[str, Any]:
    return {
        "weight": float(weight.sum()),
        "angle": float((weight * angle).sum()),
        "squared": float((weight * angle**2).sum()),
        **{name: float((weight * (angle < threshold)).sum()) for name, threshold in THRESHOLDS.items()},
        "histogram": np.histogram(angle, EDGES, weights=weight)[0].tolist(),
    }
