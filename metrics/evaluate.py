"""All figures of one panorama, and of many together."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from metrics.bootstrap import bootstrap_intervals, column_means
from metrics.depth import align, depth_figures, depth_from_sums, depth_sums
from metrics.normals import normal_figures, normal_sums, normals_from_sums
from metrics.panoptic_items import PANOPTIC_FIGURES, panoptic_item, panoptic_summary
from metrics.protocols import Protocol
from metrics.seams import seam_figures
from metrics.semantics import class_ious, confusion, semantic_figures, vocabulary_map
from metrics.weights import band_rows, kept_rows, row_weights

Labels = Mapping[str, NDArray]
Mask = NDArray[np.bool_]

FIGURES = {
    "depth AbsRel": "depth.abs_rel",
    "depth RMSE (m)": "depth.rmse",
    "depth log10": "depth.log10",
    "depth delta1": "depth.delta1",
    "depth delta2": "depth.delta2",
    "depth delta3": "depth.delta3",
    "normals mean (deg)": "normals.mean",
    "normals median (deg)": "normals.median",
    "normals RMSE (deg)": "normals.rmse",
    "normals < 5 deg": "normals.within_5",
    "normals < 11.25 deg": "normals.within_11_25",
    "normals < 22.5 deg": "normals.within_22_5",
    "normals < 30 deg": "normals.within_30",
    "mIoU": "semantics.miou",
    "mIoU, union of classes": "semantics.miou_union",
    "pixel accuracy": "semantics.pixel_accuracy",
    "mean class accuracy": "semantics.mean_accuracy",
    **PANOPTIC_FIGURES,
    "depth coverage": "coverage.depth",
    "normals coverage": "coverage.normals",
    "semantics coverage": "coverage.semantics",
    "depth consistency": "coverage.depth_consistency",
    "normals agreement": "coverage.normals_agreement",
    "semantic confidence": "coverage.semantics_confidence",
    "sky": "coverage.sky",
    "seam defect density": "seams.seam_defect_density",
    "seam prevalence": "seams.seam_prevalence",
    "seam severity": "seams.seam_severity",
    "wrap seam (log distance)": "seams.wrap_seam",
    "pole seam (log distance)": "seams.pole_seam",
    "seam defect density, truth": "truth_seams.seam_defect_density",
    "seam prevalence, truth": "truth_seams.seam_prevalence",
    "seam severity, truth": "truth_seams.seam_severity",
    "wrap seam, truth": "truth_seams.wrap_seam",
    "pole seam, truth": "truth_seams.pole_seam",
}
"""Shown name -> place in an item's figures."""

HEADLINES = frozenset(
    {"depth.abs_rel", "depth.rmse", "depth.delta1", "normals.mean", "normals.median", "normals.within_11_25", "semantics.miou"}
    | {"semantics.pixel_accuracy", "panoptic.pq", "panoptic.objects", "panoptic.objects_seam", "coverage.depth"}
    | {"coverage.depth_consistency", "coverage.normals_agreement", "coverage.semantics_confidence"}
)
"""Those at the top of a report."""


def evaluate_item(
    labels: Labels,
    truth: Labels,
    label_classes: Sequence[str],
    truth_classes: Sequence[str],
    protocol: Protocol,
    truth_things: Sequence[str] = (),
) -> dict[str, Any]:
    """Figures of one panorama's labels as JSON values.

    Parameters
    ----------
    labels : ERP arrays as the stage ``fuse`` gives them
    truth : ``depth``, ``normals``, ``semantics``, ``sky`` as in a data set of scenes, ``*_valid`` where it is known; may be empty
    label_classes, truth_classes : the two vocabularies
    protocol : Protocol
    truth_things : classes of the truth that have instances; without any, panoptic quality is not measured

    Returns
    -------
    dict
        ``coverage`` always; ``seams`` where there is depth, and ``truth_seams``, their floor, where the truth has it; ``depth``,
        ``normals``, ``semantics`` and ``panoptic`` where both sides have them, each with ``bands`` by latitude (but the last) and
        what pools its pixels over panoramas: ``sums`` or ``confusion``. None stands where no pixel counts.
    """
    figures: dict[str, Any] = {"coverage": coverage_figures(labels, protocol)}
    if "depth" in labels:
        figures["seams"] = _numbers(seam_figures(labels["depth"], labels["depth_valid"]))
    if not truth:
        return figures
    height, width = next(iter(truth.values())).shape[:2]
    weights = _pixel_weights((height, width), protocol)
    kept = np.repeat(kept_rows(height, protocol.pole_crop)[:, None], width, axis=1)
    bands = band_rows(height)
    if "depth" in labels and "depth" in truth:
        said, true, valid = _depth_pair(labels, truth, protocol)
        valid &= kept
        said = align(said, true, valid, weights, protocol.alignment)
        depths = (said, true, valid, weights)
        figures["truth_seams"] = _numbers(seam_figures(truth["depth"], known_truth(truth, "depth")))
        figures["depth"] = {**_with_bands(depth_figures, depths, bands, "abs_rel"), "sums": depth_sums(*depths)}
    if "normals" in labels and "normals" in truth:
        known = _nearest(labels["normals_valid"], (height, width)) & known_truth(truth, "normals") & kept
        normals = (_nearest(labels["normals"], (height, width)), truth["normals"], known, weights)
        figures["normals"] = {**_with_bands(normal_figures, normals, bands, "mean"), "sums": normal_sums(*normals)}
    if "semantics" in labels and "semantics" in truth:
        to_truth = np.append(vocabulary_map(label_classes, truth_classes), -1)
        classes = to_truth[np.minimum(_nearest(labels["semantics"], (height, width)), len(to_truth) - 1)]
        seen = _nearest(labels["semantics_valid"], (height, width)) & truth.get("semantics_valid", True) & kept
        pixels = (classes, truth["semantics"], seen, weights)

        def count(said: NDArray, true: NDArray, valid: Mask, weights: NDArray) -> NDArray[np.floating]:
            return confusion(said, true, valid, weights, len(truth_classes), protocol.unmatched)

        figures["semantics"] = _with_bands(lambda *arrays: semantic_figures(count(*arrays)), pixels, bands, "pixel_accuracy")
        figures["semantics"]["confusion"] = np.round(count(*pixels), 6).tolist()
    if "panoptic" in labels and "instances" in truth and truth_things:
        names = ("instances", "panoptic", "panoptic_valid", "semantics")
        sized = {name: _nearest(labels[name], (height, width)) for name in names if name in labels}
        figures["panoptic"] = panoptic_item(sized, truth, (label_classes, truth_classes, truth_things), kept, weights)
    return figures


def coverage_figures(labels: Labels, protocol: Protocol) -> dict[str, float | None]:
    """What can be said without truth: share of valid pixels, and the mean of each confidence over them, in [0, 1].

    Depth consistency is averaged over pixels on which two views or more have a say: elsewhere there is nothing to agree with,
    and it is zero. A mean over no pixel is None.
    """
    figures: dict[str, float | None] = {}
    for name, confidence in (("depth", "consistency"), ("normals", "agreement"), ("semantics", "confidence")):
        if name in labels:
            valid = labels[f"{name}_valid"]
            weights = _pixel_weights(valid.shape, protocol)
            figures[name] = float((weights * valid).sum() / weights.sum())
            judged = valid & (labels["depth_consistency"] > 0) if name == "depth" else valid
            sure = labels[f"{name}_{confidence}"][judged]
            figures[f"{name}_{confidence}"] = float(np.average(sure, weights=weights[judged]) / 255) if judged.any() else None
    if "sky" in labels:
        figures["sky"] = float(np.average(labels["sky"], weights=_pixel_weights(labels["sky"].shape, protocol)))
    return figures


def _pixel_weights(shape: tuple[int, ...], protocol: Protocol) -> NDArray[np.floating]:
    return np.repeat(row_weights(shape[0], protocol.by_area)[:, None], shape[1], axis=1)


def _with_bands(
    measure: Callable[..., dict[str, Any]], arrays: Sequence[NDArray], bands: Mapping[str, Mask], shown: str
) -> dict[str, Any]:
    """Figures of whole arrays (H, ...), and one of them, ``shown``, by latitude band."""
    by_band = {name: measure(*(array[rows] for array in arrays))[shown] for name, rows in bands.items()}
    return {**measure(*arrays), "bands": by_band}


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
    counts = valid & known_truth(truth, "depth") & (true > protocol.truth_range[0]) & (true < protocol.truth_range[1])
    return said, np.clip(true, *protocol.clip) if protocol.clip else true, counts


def known_truth(truth: Labels, name: str) -> Mask:
    """Where (H, W) there is truth of ``depth`` or ``normals``: not in the sky, and where its ``*_valid``, if any, says so."""
    known = truth.get(f"{name}_valid", np.ones(truth[name].shape[:2], bool))
    return known & ~truth["sky"].astype(bool) if "sky" in truth else known


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
        ``items``; ``figures``: rows of ``figure``, ``key``, ``over_images`` (mean over the panoramas that have it),
        ``over_pixels`` (of all their pixels pooled; None where there is no such thing), ``value`` (the one of the two that
        ``over`` names: ``pixels`` for mIoU, else ``images``) and the 95 % percentile bootstrap interval of ``value`` over
        panoramas (``low``, ``high``; None for fewer than two); ``headline``: those rows that come first in a report;
        ``bands``: figure -> band -> mean; ``per_class``: rows of class and IoU.
    """
    if not items:
        return {"items": 0, "figures": [], "headline": [], "bands": {}, "per_class": []}
    table = np.array([[_look_up(item, key) for key in FIGURES.values()] for item in items], np.float64)
    sums, means = column_means(table)
    over_images, known = means(sums.sum(axis=0)), np.isfinite(table).sum(axis=0)
    low, high = bootstrap_intervals(sums, means, seed, resamples)
    pooled = pooled_figures(items)
    rows = [
        _row(figure, key, over_images[i], _look_up(pooled, key), (low[i], high[i]) if known[i] > 1 else (np.nan, np.nan))
        for i, (figure, key) in enumerate(FIGURES.items())
    ]
    per_class = []
    if matrices := _matrices(items):
        row = next(row for row in rows if row["key"] == "semantics.miou")
        row.update(over="pixels", value=row["over_pixels"], **_miou_interval(matrices, seed, resamples))
        ious = class_ious(np.sum(matrices, axis=0))
        per_class = [{"class": name, "iou": iou} for name, iou in zip(truth_classes, ious, strict=True) if iou is not None]
    for key, changes in panoptic_summary(items, len(truth_classes), seed, resamples).items():
        next(row for row in rows if row["key"] == key).update(changes)
    rows = [row for row in rows if row["value"] is not None]
    headline = [row for row in rows if row["key"] in HEADLINES]
    return {"items": len(items), "figures": rows, "headline": headline, "bands": _mean_bands(items), "per_class": per_class}


def pooled_figures(items: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, float | None]]:
    """``depth``, ``normals`` and ``semantics`` figures of all pixels of all panoramas as if they were one image."""
    pooled: dict[str, dict[str, float | None]] = {}
    for group, figures in (("depth", depth_from_sums), ("normals", normals_from_sums)):
        sums = [item[group]["sums"] for item in items if "sums" in item.get(group, {})]
        if sums:
            pooled[group] = figures({name: np.sum([one[name] for one in sums], axis=0) for name in sums[0]})
    if matrices := _matrices(items):
        pooled["semantics"] = semantic_figures(np.sum(matrices, axis=0))
    return pooled


def _matrices(items: Sequence[Mapping[str, Any]]) -> list[NDArray]:
    return [np.array(item["semantics"]["confusion"], np.float64) for item in items if "semantics" in item]


def _miou_interval(matrices: Sequence[NDArray], seed: int, resamples: int) -> dict[str, float | None]:
    if len(matrices) < 2:
        return {"low": None, "high": None}

    def miou(total: NDArray) -> NDArray:
        return np.array([semantic_figures(total.reshape(matrices[0].shape))["miou"]], np.float64)

    low, high = bootstrap_intervals(np.stack([matrix.ravel() for matrix in matrices]), miou, seed, resamples)
    return {"low": _number(low[0]), "high": _number(high[0])}


def _row(figure: str, key: str, over_images: float, over_pixels: float, ends: tuple[float, float]) -> dict[str, Any]:
    images = _number(over_images)
    row = {"figure": figure, "key": key, "over": "images", "value": images, "over_images": images}
    return {**row, "over_pixels": _number(over_pixels), "low": _number(ends[0]), "high": _number(ends[1])}


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _numbers(figures: Mapping[str, float]) -> dict[str, float | None]:
    return {name: _number(value) for name, value in figures.items()}


def _look_up(item: Mapping[str, Any], key: str) -> float:
    group, name = key.split(".")
    value = item.get(group, {}).get(name)
    return float("nan") if value is None else value


def _mean_bands(items: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, float | None]]:
    shown = {"depth AbsRel": "depth", "normals mean (deg)": "normals", "pixel accuracy": "semantics"}
    bands: dict[str, dict[str, float | None]] = {}
    for figure, group in shown.items():
        rows = [item[group]["bands"] for item in items if group in item]
        if rows:
            sums, means = column_means(np.array([list(row.values()) for row in rows], np.float64))
            bands[figure] = dict(zip(rows[0], map(_number, means(sums.sum(axis=0)))))
    return bands
