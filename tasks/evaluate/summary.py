"""The audit of many panoramas together: what the blocks of the stage ``audit`` say, with intervals over panoramas."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metrics.audit.agreement import MEASURES, agreement_rows
from metrics.audit.attribution import LEVELS, PARTS, level_errors, missing_iou, parts
from metrics.audit.measure import FIGURES, rows_of
from metrics.intervals import jackknife_intervals
from storage.rows import ItemRow

Array = NDArray[np.floating]

NAMES = {
    "abs_rel": "depth AbsRel",
    "log": "depth, log distance",
    "angle": "normals, degrees",
    "wrong": "semantics, wrong pixels",
    "missing_iou": "semantics, 1 - mIoU",
}
NOTABLE = 1.25
"""An error or disagreement this many times the median is a reason to look at a panorama."""


@dataclass(frozen=True)
class Audited:
    """Rows of receipts and stored arrays of all panoramas that were audited.

    Attributes
    ----------
    rows : what the receipts say of each
    arrays : their arrays, one above the other: ``agreement`` and, where there is truth, ``sums`` and ``overlap``, see
        ``tasks.evaluate.audit.as_arrays``
    maps : ``erp_maps`` and ``patch_maps``, where there is truth, summed over panoramas
    classes, truth_classes : the two vocabularies
    """

    rows: Sequence[ItemRow]
    arrays: Mapping[str, Array]
    maps: Mapping[str, Array]
    classes: Sequence[str]
    truth_classes: Sequence[str]


def gather(items: Iterable[tuple[ItemRow, Mapping[str, Array]]], about: Mapping[str, Any]) -> Audited:
    """All audited panoramas, of which there must be one; ``about`` is that of any of the receipts."""
    rows: list[ItemRow] = []
    arrays: dict[str, list[Array]] = {}
    maps: dict[str, Array] = {}
    for row, own in items:
        rows.append(row)
        for name, array in own.items():
            if name in ("erp_maps", "patch_maps"):  # large, and wanted in sum alone
                maps[name] = maps.get(name, 0) + array.astype(np.float64)
            else:
                arrays.setdefault(name, []).append(array)
    stacked = {name: np.stack(own) for name, own in arrays.items()}
    return Audited(rows, stacked, maps, about["classes"], about["truth_classes"])


def summarise(audited: Audited, worst: int) -> dict[str, Any]:
    """Everything that a page shows of an audit but its pictures, as JSON values.

    Returns
    -------
    dict
        ``items``; ``with_truth``: how many of them had any; ``attribution``: figure -> part -> ``value``, ``low``, ``high``;
        ``levels``: figure -> level -> value; ``bands``: figure -> split -> rows of ``band``, its ``share`` of the judged sphere,
        levels and parts, and the interval of ``fused``; ``judged``: task -> share of the truth that was judged, on average;
        ``agreement``: task -> split -> rows of ``band``, ``share``, ``value``, ``low``, ``high``; ``consistency``: that of every
        panorama that has one; ``worst``: panoramas with ``reasons``.

        All figures pool the pixels of all panoramas; intervals are 95 % over panoramas
        (:func:`metrics.intervals.jackknife_intervals`), None for fewer than two.
    """
    found: dict[str, Any] = {
        "items": len(audited.rows),
        "with_truth": sum(bool(row.figures.get("parts")) for row in audited.rows),
        "attribution": {},
        "levels": {},
        "bands": {},
        "judged": _mean_judged(audited.rows),
        "agreement": _agreement(audited),
        "consistency": {row.item: row.figures["consistency"] for row in audited.rows if row.figures["consistency"] is not None},
        "worst": worst_items(audited.rows, worst),
    }
    if found["with_truth"]:
        _add_attribution(found, audited)
    return found


def _add_attribution(found: dict[str, Any], audited: Audited) -> None:
    rows = rows_of(audited.truth_classes)
    tables = _pooled(audited.arrays["sums"], level_errors)
    for number, (_, figure, split, band) in enumerate(rows):
        table = _table(tables, number)
        if np.isnan(table["levels"]["patch"]):
            continue
        if split == "all":
            _add_headline(found, figure, table)
        weight = table["sums"][2] or table["sums"][0]
        row = {"band": band, "weight": float(weight), **_known(table["levels"]), **_known(table["parts"])}
        row |= {"low": _number(table["low"]["total"]), "high": _number(table["high"]["total"])}
        found["bands"].setdefault(figure, {}).setdefault(split, []).append(row)
    for of_split in (split for of_figure in found["bands"].values() for split in of_figure.values()):
        total = sum(row["weight"] for row in of_split)
        for row in of_split:
            row["share"] = row.pop("weight") / total
    table = _table(_pooled(audited.arrays["overlap"], missing_iou), None)
    if np.isfinite(table["levels"]["fused"]):
        _add_headline(found, "missing_iou", table)


def _add_headline(found: dict[str, Any], figure: str, table: Mapping[str, Any]) -> None:
    found["levels"][figure] = _known(table["levels"])
    found["attribution"][figure] = {
        part: {"value": table["parts"][part], "low": _number(table["low"][part]), "high": _number(table["high"][part])}
        for part in PARTS
    }


def _pooled(sums: Array, errors: Callable[[Array], Array]) -> dict[str, Array]:
    """Of sums (items, ...) that add up over panoramas: their total, levels, parts, and ends of the parts' intervals."""
    total, flat = sums.sum(axis=0), sums.reshape(len(sums), -1)
    levels = errors(total)

    def figures(one: Array) -> Array:
        return parts(errors(one.reshape(total.shape))).ravel()

    low, high = (end.reshape(levels.shape) for end in jackknife_intervals(flat, figures))
    return {"sums": total, "levels": levels, "parts": parts(levels), "low": low, "high": high}


def _table(tables: Mapping[str, Array], row: int | None) -> dict[str, Any]:
    """One row of what :func:`_pooled` gives, by name."""
    own = {name: table if row is None else table[row] for name, table in tables.items()}
    names = {"levels": LEVELS, "parts": PARTS, "low": PARTS, "high": PARTS}
    return {"sums": own["sums"], **{name: dict(zip(names[name], map(float, own[name]))) for name in names}}


def _known(values: Mapping[str, float]) -> dict[str, float | None]:
    return {name: _number(value) for name, value in values.items()}


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _mean_judged(rows: Sequence[ItemRow]) -> dict[str, float]:
    shares = [row.figures["judged"] for row in rows if row.figures.get("judged")]
    return {
        task: float(np.mean([one[task] for one in shares if task in one])) for task in FIGURES if any(task in s for s in shares)
    }


def _agreement(audited: Audited) -> dict[str, Any]:
    sums = audited.arrays["agreement"]

    def means(one: Array) -> Array:
        pairs = one.reshape(-1, 2)
        return np.divide(pairs[:, 1], pairs[:, 0], out=np.full(len(pairs), np.nan), where=pairs[:, 0] > 0)

    total, value = sums.sum(axis=0), means(sums.sum(axis=0))
    low, high = jackknife_intervals(sums.reshape(len(sums), -1), means)
    found: dict[str, Any] = {}
    for number, (task, split, band) in enumerate(agreement_rows(audited.classes)):
        if total[number, 0] > 0:
            row = {"band": band, "share": float(total[number, 0]), "value": float(value[number])}
            row |= {"low": _number(low[number]), "high": _number(high[number])}
            found.setdefault(task, {}).setdefault(split, []).append(row)
    for rows in (rows for of_task in found.values() for rows in of_task.values()):
        whole = sum(row["share"] for row in rows)
        for row in rows:
            row["share"] /= whole
    return found


def worst_items(rows: Sequence[ItemRow], count: int) -> list[dict[str, Any]]:
    """The panoramas that stand out most, worst first: ``item``, ``score`` and ``reasons``.

    The score is the largest ratio of any of a panorama's errors, or of its views' disagreement in any task, to the median over
    panoramas; what is at least :data:`NOTABLE` times the median is a reason. Those without a reason are left out.
    """
    measures = [_measures(row) for row in rows]
    middle = {name: median(one[name] for one in measures if name in one) for name in {name for one in measures for name in one}}
    found: list[dict[str, Any]] = []
    for row, own in zip(rows, measures, strict=True):
        ratios = {name: value / middle[name] for name, value in own.items() if middle[name] > 0}
        notable = sorted((name for name in ratios if ratios[name] >= NOTABLE), key=lambda name: -ratios[name])
        if notable:
            reasons = [_reason(row, name, own[name], middle[name]) for name in notable]
            found.append({"item": row.item, "score": ratios[notable[0]], "reasons": reasons})
    found.sort(key=lambda one: (-one["score"], one["item"]))
    return found[:count]


def _measures(row: ItemRow) -> dict[str, float]:
    """What is bad about a panorama: its errors, and how far its tasks are from full agreement."""
    shown = [figures[0] for figures in FIGURES.values()]
    errors = {figure: own["total"] for figure, own in row.figures.get("parts", {}).items() if figure in shown}
    return errors | {task: 1 - row.figures["tasks"][task] for task in MEASURES if task in row.figures["tasks"]}


def _reason(row: ItemRow, name: str, value: float, middle: float) -> str:
    times = f"{value / middle:.1f} times the median of {middle:.3f}"
    if name in MEASURES:
        return f"{name}: views disagree by {value:.3f}, {times}"
    own = row.figures["parts"][name]
    largest = max((part for part in PARTS if part != "total"), key=lambda part: own[part])
    return f"{NAMES[name]} {value:.3f}, {times}; most of it: {largest.replace('_', ' ')} ({own[largest]:.3f})"
