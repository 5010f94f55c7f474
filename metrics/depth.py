"""Accuracy of depth, after one of the field's alignments."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]
Figures = dict[str, float | None]
NEAREST = 0.01
"""Metres. Aligned distances are no nearer, so that a fit that sends them below zero cannot make them drop out."""
NAMES = ("abs_rel", "rmse", "log10", "delta1", "delta2", "delta3")


def depth_figures(prediction: Array, truth: Array, valid: NDArray[np.bool_], weights: Array) -> Figures:
    """AbsRel, RMSE (metres), log10 and delta < 1.25, 1.25^2, 1.25^3 (strict), weighted means over valid pixels.

    All arrays (...) of one shape. Pixels that are not finite, or where either distance is not positive, do not count as valid;
    with no valid pixel every figure is None.
    """
    usable = valid & np.isfinite(prediction) & np.isfinite(truth) & (prediction > 0) & (truth > 0)
    weight = weights[usable].astype(np.float64)
    if not weight.sum() > 0:
        return dict.fromkeys(NAMES)
    said, true = prediction[usable].astype(np.float64), truth[usable].astype(np.float64)
    ratio = np.maximum(said / true, true / said)

    def mean(values: NDArray) -> float:
        return float((weight * values).sum() / weight.sum())

    return {
        "abs_rel": mean(np.abs(said - true) / true),
        "rmse": float(np.sqrt(mean((said - true) ** 2))),
        "log10": mean(np.abs(np.log10(said) - np.log10(true))),
        **{f"delta{power}": mean(ratio < 1.25**power) for power in (1, 2, 3)},
    }


def align(prediction: Array, truth: Array, valid: NDArray[np.bool_], weights: Array, alignment: str) -> Array:
    """The prediction brought to the truth's scale.

    ``metric``: as it is. ``scale``: least squares, s = sum(w p g) / sum(w p^2). ``scale_and_shift``: least squares of s p + t.
    ``median``: ratio of the medians of valid pixels, unweighted as the peers do. Without a valid pixel,
    and where it is not positive, the prediction stays as it is.
    """
    usable = valid & np.isfinite(prediction) & np.isfinite(truth) & (prediction > 0) & (truth > 0)
    if alignment == "metric" or not usable.any():
        return prediction
    said, true, weight = (array[usable].astype(np.float64) for array in (prediction, truth, weights))
    scale, shift = ALIGNMENTS[alignment](said, true, weight)
    return np.where(prediction > 0, np.maximum(prediction * scale + shift, NEAREST), prediction)


def _metric(said: Array, true: Array, weight: Array) -> tuple[float, float]:
    return 1.0, 0.0


def _scale(said: Array, true: Array, weight: Array) -> tuple[float, float]:
    return float((weight * said * true).sum() / max(float((weight * said**2).sum()), 1e-12)), 0.0


def _scale_and_shift(said: Array, true: Array, weight: Array) -> tuple[float, float]:
    mean_said, mean_true = np.average(said, weights=weight), np.average(true, weights=weight)
    variance = np.average((said - mean_said) ** 2, weights=weight)
    if variance < 1e-12:
        return 0.0, float(mean_true)
    scale = np.average((said - mean_said) * (true - mean_true), weights=weight) / variance
    return float(scale), float(mean_true - scale * mean_said)


def _median(said: Array, true: Array, weight: Array) -> tuple[float, float]:
    return float(np.median(true)) / max(float(np.median(said)), 1e-12), 0.0


ALIGNMENTS: dict[str, Callable[[Array, Array, Array], tuple[float, float]]] = {
    "metric": _metric,
    "scale": _scale,
    "scale_and_shift": _scale_and_shift,
    "median": _median,
}
