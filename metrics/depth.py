"""Accuracy of depth, after one of the field's alignments."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from metrics.normals import weighted_median

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
    return depth_from_sums(depth_sums(prediction, truth, valid, weights))


def depth_sums(prediction: Array, truth: Array, valid: NDArray[np.bool_], weights: Array) -> dict[str, float]:
    """What :func:`depth_figures` divides: the ``weight`` of the pixels and the weighted sums over them.

    Adding the sums of many panoramas, name by name, pools their pixels.
    """
    usable = usable_pixels(prediction, truth, valid)
    weight = weights[usable].astype(np.float64)
    said, true = prediction[usable].astype(np.float64), truth[usable].astype(np.float64)
    ratio = np.maximum(said / true, true / said)
    sums = {
        "weight": weight,
        "relative": weight * (np.abs(said - true) / true),
        "squared": weight * (said - true) ** 2,
        "log10": weight * np.abs(np.log10(said / true)),
        **{f"delta{power}": weight * (ratio < 1.25**power) for power in (1, 2, 3)},
    }
    return {name: float(values.sum()) for name, values in sums.items()}


def depth_from_sums(sums: Mapping[str, float]) -> Figures:
    """The figures of :func:`depth_figures` from sums, of one panorama or added over many."""
    weight = sums["weight"]
    if not weight > 0:
        return dict.fromkeys(NAMES)
    deltas = {name: sums[name] / weight for name in ("delta1", "delta2", "delta3")}
    return {
        "abs_rel": sums["relative"] / weight,
        "rmse": float(np.sqrt(sums["squared"] / weight)),
        "log10": sums["log10"] / weight,
        **deltas,
    }


def usable_pixels(prediction: Array, truth: Array, valid: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Valid pixels where both distances are finite and positive."""
    return valid & np.isfinite(prediction) & np.isfinite(truth) & (prediction > 0) & (truth > 0)


def align(prediction: Array, truth: Array, valid: NDArray[np.bool_], weights: Array, alignment: str) -> Array:
    """The prediction brought to the truth's scale.

    ``metric``: as it is. ``scale``: least squares, s = sum(w p g) / sum(w p^2). ``scale_and_shift``: least squares of s p + t.
    ``median``: ratio of the medians of valid pixels, unweighted as the peers do. ``robust_scale``: least sum of w |s p - g| / g.
    ``inverse``: least squares of s / p + t against 1 / g, no farther than the farthest truth. Without a valid pixel, and where it
    is not positive, the prediction stays as it is.
    """
    usable = usable_pixels(prediction, truth, valid) & (weights > 0)
    if alignment == "metric" or not usable.any():
        return prediction
    said, true, weight = (array[usable].astype(np.float64) for array in (prediction, truth, weights))
    scale, shift = ALIGNMENTS[alignment](said, true, weight)
    if alignment == "inverse":
        inverse = scale / np.where(prediction > 0, prediction, 1) + shift
        return np.where(prediction > 0, 1 / np.maximum(inverse, 1 / true.max()), prediction)
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


def _robust_scale(said: Array, true: Array, weight: Array) -> tuple[float, float]:
    # The sum of w p / g |s - g / p| is least at the median of g / p that is weighted so.
    return weighted_median(true / said, weight * said / true), 0.0


def _inverse(said: Array, true: Array, weight: Array) -> tuple[float, float]:
    return _scale_and_shift(1 / said, 1 / true, weight)


ALIGNMENTS: dict[str, Callable[[Array, Array, Array], tuple[float, float]]] = {
    "metric": _metric,
    "scale": _scale,
    "scale_and_shift": _scale_and_shift,
    "median": _median,
    "robust_scale": _robust_scale,
    "inverse": _inverse,
}
