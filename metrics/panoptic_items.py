"""Panoptic quality of one panorama's labels, as a receipt keeps it, and of many together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metrics.intervals import jackknife_intervals
from metrics.panoptic import GROUPS, Panoptic, add_sums, class_quality, panoptic_figures, panoptic_sums
from metrics.semantics import vocabulary_map

Array = NDArray[np.floating]
Mask = NDArray[np.bool_]
PANOPTIC_FIGURES = {
    "PQ": "panoptic.pq",
    "SQ": "panoptic.sq",
    "RQ": "panoptic.rq",
    "PQ, things": "panoptic.pq_things",
    "PQ, stuff": "panoptic.pq_stuff",
    "PQ, pixels alike": "panoptic.pq_pixels",
    "PQ, objects of all classes": "panoptic.objects",
    "PQ, objects over the seam": "panoptic.objects_seam",
    "PQ, objects at a pole": "panoptic.objects_pole",
}
"""Shown name -> place in an item's figures. Those of objects take all classes of things for one: few are at the seam."""


def panoptic_item(
    labels: Mapping[str, NDArray],
    truth: Mapping[str, NDArray],
    vocabularies: tuple[Sequence[str], Sequence[str], Sequence[str]],
    kept: Mask,
    weights: Array,
) -> dict[str, Any]:
    """Figures of one panorama, and the sums that they come from, as JSON values.

    Parameters
    ----------
    labels : ``instances``, ``panoptic``, ``panoptic_valid`` (H, W); without ``semantics`` in it, only things are measured
    truth : ``semantics`` and ``instances`` (H, W), and ``semantics_valid`` where not all of it is known
    vocabularies : the classes of the labels, those of the truth, and which of the latter are things
    kept : (H, W) pixels that count; the truth is void elsewhere
    weights : (H, W) by the protocol
    """
    label_classes, truth_classes, truth_things = vocabularies
    things = [list(truth_classes).index(name) for name in truth_things]
    to_truth = np.append(vocabulary_map(label_classes, truth_classes), -1)
    said = np.where(labels["panoptic_valid"], to_truth[np.minimum(labels["panoptic"], len(to_truth) - 1)], -1)
    known = kept & (truth["semantics"] < len(truth_classes)) & truth.get("semantics_valid", True)
    pair = (
        Panoptic(said, labels["instances"]),
        Panoptic(np.where(known, truth["semantics"].astype(int), -1), truth["instances"]),
    )
    measured = set(range(len(truth_classes)) if "semantics" in labels else things)
    sums = _only(panoptic_sums(*pair, things, weights), measured)
    pixel_sums = _only(panoptic_sums(*pair, things, np.ones(weights.shape)), measured)
    item = {"sums": sums, "pixel_sums": {"all": pixel_sums["all"]}, "things": things}
    values = _figures(_flat([item], len(truth_classes))[0], things, len(truth_classes))
    return {**{_name(key): _number(value) for key, value in zip(PANOPTIC_FIGURES.values(), values, strict=True)}, **item}


def panoptic_summary(items: Sequence[Mapping[str, Any]], classes: int) -> dict[str, dict[str, Any]]:
    """For each key of :data:`PANOPTIC_FIGURES` the value over all segments of all panoramas, and its interval over panoramas."""
    found = [item["panoptic"] for item in items if "panoptic" in item]
    if not found:
        return {}
    sums, things = _flat(found, classes), found[0]["things"]
    values = _figures(sums.sum(axis=0), things, classes)
    low, high = jackknife_intervals(sums, lambda total: _figures(total, things, classes))
    return {
        key: {"over": "pixels", "value": value, "over_pixels": value, "low": _number(low[index]), "high": _number(high[index])}
        for index, (key, value) in enumerate(zip(PANOPTIC_FIGURES.values(), map(_number, values), strict=True))
    }


def _flat(items: Sequence[Mapping[str, Any]], classes: int) -> Array:
    """Sums of each panorama in one row: groups by solid angle, then all by plain pixels."""
    rows = [
        [add_sums([item["sums"]], group, classes) for group in GROUPS] + [add_sums([item["pixel_sums"]], "all", classes)]
        for item in items
    ]
    return np.array(rows).reshape(len(items), -1)


def _figures(total: Array, things: Sequence[int], classes: int) -> Array:
    """The figures of :data:`PANOPTIC_FIGURES`, in their order; NaN where nothing counts."""
    *groups, plain = total.reshape(len(GROUPS) + 1, classes, 4)
    quality = panoptic_figures(groups[0], things)
    objects = [class_quality(group[list(things)].sum(axis=0, keepdims=True))[0, 0] for group in groups]
    named = [quality[name] for name in ("pq", "sq", "rq", "pq_things", "pq_stuff")]
    return np.array([*named, panoptic_figures(plain, things)["pq"], *objects], np.float64)


def _only(sums: dict[str, dict[str, list[float]]], measured: set[int]) -> dict[str, dict[str, list[float]]]:
    return {group: {index: row for index, row in rows.items() if int(index) in measured} for group, rows in sums.items()}


def _name(key: str) -> str:
    return key.split(".")[1]


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
