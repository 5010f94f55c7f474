"""Panoptic quality (Kirillov et al., CVPR 2019) on the sphere: every pixel weighs what it covers, or all the same.

A segment is a thing (class and id) or all of one stuff class. A predicted and a true segment of one class match if their IoU is
above 0.5. What the truth leaves open (void) counts for nobody: it is taken out of every union, and an unmatched prediction that
lies there by more than half is forgotten.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]
Integers = NDArray[np.integer]
GROUPS = ("all", "seam", "pole")
"""``seam``: true things that have pixels on both sides of the +-180 degree seam in one row; ``pole``: that touch a pole."""


@dataclass(frozen=True)
class Panoptic:
    """A panoptic labelling: ``classes`` (H, W), -1 for void, and ``ids`` (H, W), which tell apart things of one class."""

    classes: Integers
    ids: Integers


def panoptic_sums(said: Panoptic, true: Panoptic, things: Collection[int], weights: Array) -> dict[str, dict[str, list[float]]]:
    """What panoptic quality is made of, for one panorama; sums of panoramas are those of all together.

    Parameters
    ----------
    said, true : Panoptic
        Of one size. A pixel of a thing's class with id 0 is void.
    things : classes that have instances
    weights : (H, W) weight of each pixel

    Returns
    -------
    dict
        For each of :data:`GROUPS`, for each class index (as text, for JSON) that occurs: sum of the IoUs of matches, number of
        matches, of predictions without match, and of true segments without match. In a group other than ``all`` a
        prediction counts if more than half of it lies on true segments of the group.
    """
    said_map, said_class = _segments(said, things)
    true_map, true_class = _segments(true, things)
    shape = (len(said_class), len(true_class))
    both = np.bincount((said_map * shape[1] + true_map).ravel(), weights.ravel(), shape[0] * shape[1]).reshape(shape)
    union = both[:, 1:].sum(axis=1, keepdims=True) + both.sum(axis=0) - both
    iou = np.divide(both, union, out=np.zeros(shape), where=union > 0)
    # Of IoUs above one half there is at most one in a row or column.
    match = (iou > 0.5) & (said_class[:, None] == true_class)
    match[0], match[:, 0] = False, False
    area = both.sum(axis=1)
    counted = (area > 0) & (both[:, 0] <= 0.5 * area)
    counted[0] = False
    groups = {}
    for name, members in _groups(true_map, true_class, things).items():
        here = match & members
        hits = here.sum(axis=0)
        spare = counted & ~match.any(axis=1)
        if name != "all":
            spare &= both[:, members].sum(axis=1) > 0.5 * area
        lost = members & ~match.any(axis=0)
        rows = [(true_class, (iou * here).sum(axis=0)), (true_class, hits), (said_class, spare), (true_class, lost)]
        groups[name] = _by_class(rows)
    return groups


def _segments(labelling: Panoptic, things: Collection[int]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Segment (H, W) of each pixel, 0 for void, and the class (S + 1,) of each segment, -1 for void."""
    classes = labelling.classes.astype(np.int64)
    thing = np.isin(classes, list(things))
    ids = np.where(thing, labelling.ids, 0).astype(np.int64)
    void = (classes < 0) | (thing & (ids <= 0))
    base = int(ids.max(initial=0)) + 1
    keys, where = np.unique(np.where(void, -1, classes * base + ids), return_inverse=True)
    shift = int(not len(keys) or keys[0] != -1)  # segment 0 is void, whether it occurs or not
    found = keys[keys >= 0] // base
    return where.reshape(classes.shape) + shift, np.concatenate([[-1], found])


def _groups(true_map: Integers, true_class: Integers, things: Collection[int]) -> dict[str, NDArray[np.bool_]]:
    """For each group which true segments (S + 1,) belong to it."""
    numbers = np.arange(len(true_class))
    thing = np.isin(true_class, list(things))
    over = true_map[true_map[:, 0] == true_map[:, -1], 0]
    touching = np.concatenate([true_map[0], true_map[-1]])
    return {
        "all": numbers > 0,
        "seam": thing & np.isin(numbers, over),
        "pole": thing & np.isin(numbers, touching),
    }


def _by_class(rows: Sequence[tuple[Integers, Array]]) -> dict[str, list[float]]:
    """For each class the sum of every column's values; columns are (class of each segment, value of each segment)."""
    top = max(int(classes.max()) for classes, _ in rows) + 1
    table = np.stack([np.bincount(classes[1:], values[1:].astype(np.float64), top) for classes, values in rows], axis=1)
    return {str(index): [round(value, 9) for value in table[index].tolist()] for index in np.flatnonzero(table.any(axis=1))}


def add_sums(items: Sequence[Mapping[str, Mapping[str, Sequence[float]]]], group: str, classes: int) -> Array:
    """One group's sums (classes, 4) over many panoramas."""
    total = np.zeros((classes, 4))
    for item in items:
        for index, values in item.get(group, {}).items():
            total[int(index)] += values
    return total


def panoptic_figures(sums: Array, things: Collection[int]) -> dict[str, float | None]:
    """Means over the classes that occur, of sums (classes, 4): ``pq``, ``sq``, ``rq``; ``pq_things``, ``pq_stuff``.

    None where no class occurs. SQ averages over classes with a match only.
    """
    quality = class_quality(sums)
    thing = np.isin(np.arange(len(sums)), list(things))
    figures = {name: _mean(quality[:, column]) for column, name in enumerate(("pq", "sq", "rq"))}
    return {**figures, "pq_things": _mean(quality[thing, 0]), "pq_stuff": _mean(quality[~thing, 0])}


def class_quality(sums: Array) -> Array:
    """PQ, SQ and RQ (classes, 3) of sums (classes, 4); NaN for classes that do not occur, and SQ without a match."""
    iou, hits, spare, lost = sums.T
    size = hits + 0.5 * spare + 0.5 * lost
    quality = np.full((len(sums), 3), np.nan)
    for column, (part, whole) in enumerate(((iou, size), (iou, hits), (hits, size))):
        np.divide(part, whole, out=quality[:, column], where=whole > 0)
    return quality


def _mean(values: Array) -> float | None:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else None
