"""All figures of many panoramas together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metrics.depth import depth_from_sums
from metrics.intervals import column_means, jackknife_intervals
from metrics.normals import normals_from_sums
from metrics.panoptic_items import PANOPTIC_FIGURES, panoptic_summary
from metrics.semantics import class_ious, semantic_figures

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

SHARES = ("depth.delta", "normals.within_", "semantics.", "panoptic.", "coverage.")
"""How keys of figures that lie between 0 and 1 begin; all others are errors of 0 or more. Intervals end there too."""


def summarise(items: Sequence[Mapping[str, Any]], truth_classes: Sequence[str]) -> dict[str, Any]:
    """Figures of many panoramas together, as JSON values.

    Returns
    -------
    dict
        ``items``; ``figures``: rows of ``figure``, ``key``, ``over_images`` (mean over the panoramas that have it),
        ``over_pixels`` (of all their pixels pooled; None where there is no such thing), ``value`` (the one of the two that
        ``over`` names: ``pixels`` for mIoU, else ``images``) and the 95 % interval of ``value`` over panoramas (``low``,
        ``high``; None for fewer than two), as :func:`metrics.intervals.jackknife_intervals` has it, cut at what a figure can be;
        ``headline``: those rows that come first in a report; ``bands``: figure -> band -> mean; ``per_class``: rows of class
        and IoU.
    """
    if not items:
        return {"items": 0, "figures": [], "headline": [], "bands": {}, "per_class": []}
    table = np.array([[_look_up(item, key) for key in FIGURES.values()] for item in items], np.float64)
    sums, means = column_means(table)
    over_images = means(sums.sum(axis=0))
    low, high = jackknife_intervals(sums, means)
    pooled = pooled_figures(items)
    rows = [
        _row(figure, key, over_images[i], _look_up(pooled, key), (low[i], high[i]))
        for i, (figure, key) in enumerate(FIGURES.items())
    ]
    per_class = []
    if matrices := _matrices(items):
        row = next(row for row in rows if row["key"] == "semantics.miou")
        row.update(over="pixels", value=row["over_pixels"], **_miou_interval(matrices))
        ious = class_ious(np.sum(matrices, axis=0))
        per_class = [{"class": name, "iou": iou} for name, iou in zip(truth_classes, ious, strict=True) if iou is not None]
    for key, changes in panoptic_summary(items, len(truth_classes)).items():
        next(row for row in rows if row["key"] == key).update(changes)
    rows = [_cut(row) for row in rows if row["value"] is not None]
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
    """Confusion matrices; of truth that names no class there is nothing to be confused."""
    found = [np.array(item["semantics"]["confusion"], np.float64) for item in items if "semantics" in item]
    return [one for one in found if one.size]


def _miou_interval(matrices: Sequence[NDArray]) -> dict[str, float | None]:
    def miou(total: NDArray) -> NDArray:
        return np.array([semantic_figures(total.reshape(matrices[0].shape))["miou"]], np.float64)

    low, high = jackknife_intervals(np.stack([matrix.ravel() for matrix in matrices]), miou)
    return {"low": _number(low[0]), "high": _number(high[0])}


def _row(figure: str, key: str, over_images: float, over_pixels: float, ends: tuple[float, float]) -> dict[str, Any]:
    images = _number(over_images)
    row = {"figure": figure, "key": key, "over": "images", "value": images, "over_images": images}
    return {**row, "over_pixels": _number(over_pixels), "low": _number(ends[0]), "high": _number(ends[1])}


def _cut(row: dict[str, Any]) -> dict[str, Any]:
    """A row whose interval ends where its figure does."""
    if row["low"] is None:
        return row
    most = 1.0 if row["key"].startswith(SHARES) else np.inf
    return {**row, "low": max(row["low"], 0.0), "high": min(row["high"], most)}


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


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
