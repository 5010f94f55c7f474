"""All figures of one panorama, and of many together."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from metrics.depth import align, depth_figures
from metrics.normals import normal_figures
from metrics.protocols import Protocol
from metrics.semantics import class_ious, confusion, semantic_figures, vocabulary_map
from metrics.weights import band_rows, kept_rows, row_weights

Labels = Mapping[str, NDArray]
Mask = NDArray[np.bool_]

HEADLINES = {
    "depth AbsRel": "depth.abs_rel",
    "depth RMSE (m)": "depth.rmse",
    "depth delta1": "depth.delta1",
    "normals mean (deg)": "normals.mean",
    "normals median (deg)": "normals.median",
    "normals < 11.25 deg": "normals.within_11_25",
    "pixel accuracy": "semantics.pixel_accuracy",
    "depth coverage": "coverage.depth",
    "depth consistency": "coverage.depth_consistency",
    "normals agreement": "coverage.normals_agreement",
    "semantic confidence": "coverage.semantics_confidence",
}
"""Figures at the top of a report: shown name -> place in an item's figures."""


def evaluate_item(
    labels: Labels, truth: Labels, label_classes: Sequence[str], truth_classes: Sequence[str], protocol: Protocol
) -> dict[str, Any]:
    """Figures of one panorama's labels as JSON values.

    Parameters
    ----------
    labels : ERP arrays as the stage ``fuse`` gives them
    truth : ``depth``, ``normals``, ``semantics``, ``sky`` as in a data set of scenes; may be empty
    label_classes, truth_classes : the two vocabularies
    protocol : Protocol

    Returns
    -------
    dict
        ``coverage`` always; ``depth``, ``normals`` and ``semantics`` where both sides have them, each with ``bands`` by latitude.
    """
    figures: dict[str, Any] = {"coverage": coverage_figures(labels, protocol)}
    if not truth:
        return figures
    height, width = next(iter(truth.values())).shape[:2]
    sky = _sky(truth, (height, width))
    weights = _pixel_weights((height, width), protocol)
    kept = np.repeat(kept_rows(height, protocol.pole_crop)[:, None], width, axis=1)
    bands = band_rows(height)
    if "depth" in labels and "depth" in truth:
        said, true, valid = _depth_pair(labels, truth, protocol)
        valid &= kept
        said = align(said, true, valid, weights, protocol.alignment)
        figures["depth"] = _with_bands(lambda where: depth_figures(said, true, valid & where, weights), bands, width, "abs_rel")
    if "normals" in labels and "normals" in truth:
        normals = _nearest(labels["normals"], (height, width))
        known = _nearest(labels["normals_valid"], (height, width)) & ~sky & kept
        figures["normals"] = _with_bands(
            lambda where: normal_figures(normals, truth["normals"], known & where, weights), bands, width, "mean"
        )
    if "semantics" in labels and "semantics" in truth:
        to_truth = np.append(vocabulary_map(label_classes, truth_classes), -1)
        classes = to_truth[np.minimum(_nearest(labels["semantics"], (height, width)), len(to_truth) - 1)]
        seen = _nearest(labels["semantics_valid"], (height, width)) & kept

        def count(where: Mask) -> NDArray[np.floating]:
            return confusion(classes, truth["semantics"], seen & where, weights, len(truth_classes))

        figures["semantics"] = _with_bands(lambda where: semantic_figures(count(where)), bands, width, "pixel_accuracy")
        figures["semantics"]["confusion"] = np.round(count(np.ones_like(seen)), 6).tolist()
    return figures


def coverage_figures(labels: Labels, protocol: Protocol) -> dict[str, float]:
    """What can be said without truth: share of valid pixels, and the mean of each confidence over them, in [0, 1].

    Depth consistency is averaged over pixels that two views or more see: elsewhere there is nothing to agree with.
    """
    figures = {}
    for name, confidence in (("depth", "consistency"), ("normals", "agreement"), ("semantics", "confidence")):
        if name in labels:
            valid = labels[f"{name}_valid"]
            weights = _pixel_weights(valid.shape, protocol)
            figures[name] = float((weights * valid).sum() / weights.sum())
            judged = valid & (labels["views"] >= 2) if name == "depth" and "views" in labels else valid
            if judged.any():
                mean = np.average(labels[f"{name}_{confidence}"][judged], weights=weights[judged]) / 255
                figures[f"{name}_{confidence}"] = float(mean)
    if "sky" in labels:
        figures["sky"] = float(np.average(labels["sky"], weights=_pixel_weights(labels["sky"].shape, protocol)))
    return figures


def _pixel_weights(shape: tuple[int, ...], protocol: Protocol) -> NDArray[np.floating]:
    return np.repeat(row_weights(shape[0], protocol.by_area)[:, None], shape[1], axis=1)


def _with_bands(figures: Callable[[Mask], dict[str, Any]], bands: Mapping[str, Mask], width: int, shown: str) -> dict[str, Any]:
    everywhere = np.ones((len(next(iter(bands.values()))), width), bool)
    by_band = {name: figures(everywhere & rows[:, None])[shown] for name, rows in bands.items()}
    return {**figures(everywhere), "bands": by_band}


def _depth_pair(labels: Labels, truth: Labels, protocol: Protocol) -> tuple[NDArray, NDArray, Mask]:
    """Prediction at the truth's size, truth as the protocol clips it, and where both count."""
    shape = truth["depth"].shape
    said, valid = labels["depth"], labels["depth_valid"]
    if said.shape != shape:
        size = (shape[1], shape[0])
        # Bilinear among valid pixels only: zeros of the invalid ones must not bleed in.
        share = cv2.resize(valid.astype(np.float32), size, interpolation=cv2.INTER_LINEAR)
        total = cv2.resize(np.where(valid, said, 0).astype(np.float32), size, interpolation=cv2.INTER_LINEAR)
        said, valid = total / np.maximum(share, 1e-6), share > 0.5
    true = truth["depth"]
    counts = valid & ~_sky(truth, shape) & (true > protocol.truth_range[0]) & (true < protocol.truth_range[1])
    return said, np.clip(true, *protocol.clip) if protocol.clip else true, counts


def _sky(truth: Labels, shape: tuple[int, ...]) -> Mask:
    return truth["sky"].astype(bool) if "sky" in truth else np.zeros(shape, bool)


def _nearest(array: NDArray, shape: tuple[int, int]) -> NDArray:
    if array.shape[:2] == shape:
        return array
    rows = (np.arange(shape[0]) + 0.5) * array.shape[0] // shape[0]
    columns = (np.arange(shape[1]) + 0.5) * array.shape[1] // shape[1]
    return array[rows.astype(int)[:, None], columns.astype(int)[None, :]]


def summarise(
    items: Sequence[Mapping[str, Any]], truth_classes: Sequence[str], seed: int = 0, resamples: int = 1000
) -> dict[str, Any]:
    """Figures of many panoramas together, as JSON values.

    Returns
    -------
    dict
        ``items``; ``headline``: rows of figure, key, value (mean over items; mIoU from the pooled confusion) and the 95 %
        percentile bootstrap interval over items (``low``, ``high``; None for one item); ``bands``: figure -> band -> mean;
        ``per_class``: rows of class and IoU.
    """
    if not items:
        return {"items": 0, "headline": [], "bands": {}, "per_class": []}
    generator = np.random.default_rng(seed)
    draws = generator.integers(len(items), size=(resamples, len(items)))
    headline = []
    for figure, key in HEADLINES.items():
        values = np.array([_look_up(item, key) for item in items], np.float64)
        if np.isfinite(values).any():
            means = _nanmean(values[draws], axis=1)
            headline.append({"figure": figure, "key": key, "value": float(np.nanmean(values)), **_interval(means, len(items))})
    summary: dict[str, Any] = {"items": len(items), "headline": headline, "bands": _mean_bands(items), "per_class": []}
    matrices = [np.array(item["semantics"]["confusion"]) for item in items if "semantics" in item]
    if matrices:
        stack = np.stack(matrices)
        pooled = stack.sum(axis=0)
        miou = semantic_figures(pooled)["miou"]
        some = generator.integers(len(stack), size=(resamples, len(stack)))
        resampled = np.array([semantic_figures(stack[draw].sum(axis=0))["miou"] for draw in some], np.float64)
        if miou is not None:
            row = {"figure": "mIoU", "key": "semantics.miou", "value": miou, **_interval(resampled, len(stack))}
            headline.insert(next((i for i, one in enumerate(headline) if one["key"] == "semantics.pixel_accuracy"), 0), row)
        ious = class_ious(pooled)
        summary["per_class"] = [
            {"class": name, "iou": iou} for name, iou in zip(truth_classes, ious, strict=True) if iou is not None
        ]
    return summary


def _look_up(item: Mapping[str, Any], key: str) -> float:
    group, name = key.split(".")
    value = item.get(group, {}).get(name)
    return float("nan") if value is None else value


def _interval(values: NDArray, count: int) -> dict[str, float | None]:
    finite = values[np.isfinite(values)]
    if count < 2 or not len(finite):
        return {"low": None, "high": None}
    low, high = np.percentile(finite, [2.5, 97.5])
    return {"low": float(low), "high": float(high)}


def _nanmean(values: NDArray, axis: int) -> NDArray:
    known = np.isfinite(values)
    count = known.sum(axis=axis)
    return np.where(count > 0, np.where(known, values, 0).sum(axis=axis) / np.maximum(count, 1), np.nan)


def _mean_bands(items: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, float | None]]:
    shown = {"depth AbsRel": "depth", "normals mean (deg)": "normals", "pixel accuracy": "semantics"}
    bands: dict[str, dict[str, float | None]] = {}
    for figure, group in shown.items():
        rows = [item[group]["bands"] for item in items if group in item]
        if rows:
            means = {band: _nanmean(np.array([row[band] for row in rows], np.float64), axis=0) for band in rows[0]}
            bands[figure] = {band: float(mean) if np.isfinite(mean) else None for band, mean in means.items()}
    return bands
