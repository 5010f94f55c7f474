"""The amodal panoptic metrics of Mohan and Valada (CVPR 2022): quality and parsing coverage, under their own names.

They are not the APQ of the seamless segmentation task: Things are matched by Hungarian assignment on their whole masks without
a least IoU, and scored by the IoU of their visible and of their hidden parts; false ones weigh 1 instead of 1/2; stuff needs no
least IoU either. Never compare the two.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from metrics.seamless.matching import ious
from metrics.seamless.objects import Objects, Packed, areas, intersections, overlaps, pack, same_class
from metrics.seamless.panoptic import joint_areas
from metrics.seamless.quality import Figures, check_classes, mean_of_known

Mask = NDArray[np.bool_]
Integers = NDArray[np.integer]
Floats = NDArray[np.floating]


@dataclass(frozen=True, eq=False)
class AmodalScene:
    """One image: visible stuff (H, W) int, -1 elsewhere; Things by their whole and by their visible masks (N, H, W) bool.

    What is hidden of a Thing is its whole mask without the visible one. ``void`` (H, W) bool: pixels of the truth without label.
    """

    stuff: Integers
    things: Objects
    visible: Mask
    void: Mask | None = None

    def __post_init__(self) -> None:
        if self.visible.shape != self.things.masks.shape or self.stuff.shape != self.visible.shape[1:]:
            shapes = f"{self.stuff.shape}, {self.things.masks.shape} and {self.visible.shape}"
            raise ValueError(f"stuff (H, W), whole and visible masks (N, H, W) do not fit: {shapes}")


@dataclass(frozen=True, eq=False)
class MohanValadaCounts:
    """Sums per class, each (C,) float64; ``+`` joins two sets of images.

    ``iou`` over ``segments`` (matched, missed and invented ones; visible and hidden counted apart) is the quality, ``cover`` over
    ``area`` the coverage.
    """

    visible_iou: Floats
    visible_segments: Floats
    hidden_iou: Floats
    hidden_segments: Floats
    visible_cover: Floats
    visible_area: Floats
    hidden_cover: Floats
    hidden_area: Floats

    def __add__(self, other: MohanValadaCounts) -> MohanValadaCounts:
        return MohanValadaCounts(*(getattr(self, one.name) + getattr(other, one.name) for one in fields(self)))

    def quality(self) -> Floats:
        """(C,) float64, NaN for a class that was neither there nor predicted."""
        return _ratio(self.visible_iou + self.hidden_iou, self.visible_segments + self.hidden_segments)

    def coverage(self) -> Floats:
        """(C,) float64, NaN for a class that was not there."""
        return _ratio(self.visible_cover + self.hidden_cover, self.visible_area + self.hidden_area)

    def figures(self) -> Figures:
        """Means over classes that are present, of quality and coverage, and of those of visible and of hidden parts; or None."""
        return {
            "mohan_valada_apq": mean_of_known(self.quality()),
            "mohan_valada_apq_visible": mean_of_known(_ratio(self.visible_iou, self.visible_segments)),
            "mohan_valada_apq_hidden": mean_of_known(_ratio(self.hidden_iou, self.hidden_segments)),
            "mohan_valada_apc": mean_of_known(self.coverage()),
            "mohan_valada_apc_visible": mean_of_known(_ratio(self.visible_cover, self.visible_area)),
            "mohan_valada_apc_hidden": mean_of_known(_ratio(self.hidden_cover, self.hidden_area)),
        }


def mohan_valada_counts(prediction: AmodalScene, truth: AmodalScene, classes: int) -> MohanValadaCounts:
    """Counts of one image.

    Notes
    -----
    The published script takes one assignment over all classes and forgets predictions that it paired with another class; counts
    only the first segment of an image where one side has none; and takes one prediction's occlusion for all. Here each class has
    its own assignment, and every unmatched segment counts, unless more than half of its visible part lies on void.
    """
    if prediction.stuff.shape != truth.stuff.shape:
        raise ValueError(f"prediction is {prediction.stuff.shape}, truth {truth.stuff.shape}")
    void = np.zeros(truth.stuff.shape, bool) if truth.void is None else truth.void
    return _stuff(prediction.stuff, truth.stuff, void, classes) + _things(prediction, truth, void, classes)


def _stuff(prediction: Integers, truth: Integers, void: Mask, classes: int) -> MohanValadaCounts:
    joint = joint_areas(np.where(void, 0, truth + 2), prediction + 1, classes + 2, classes + 1)
    true, hit = joint[2:].sum(axis=1), np.diag(joint[2:, 1:])
    union = true + joint[:, 1:].sum(axis=0) - joint[0, 1:] - hit
    there, iou, nothing = true > 0, ious(hit, union), np.zeros(classes)
    parts = (np.where(there, iou, 0), there.astype(np.float64), nothing, nothing, iou * true, true.astype(np.float64))
    return MohanValadaCounts(*parts, nothing, nothing)


def _things(prediction: AmodalScene, truth: AmodalScene, void: Mask, classes: int) -> MohanValadaCounts:
    said = check_classes("prediction", prediction.things.classes, classes)
    true = check_classes("truth", truth.things.classes, classes)
    alike = same_class(true, said)
    whole = _ious(truth.things.packed, prediction.things.packed, alike)
    said_visible, true_visible = pack(prediction.visible), pack(truth.visible)
    said_hidden, true_hidden = (pack(one.things.masks & ~one.visible) for one in (prediction, truth))
    visible, hidden = _ious(true_visible, said_visible, alike), _ious(true_hidden, said_hidden, alike)
    true_occluded, said_occluded = areas(true_hidden) > 0, areas(said_hidden) > 0
    rows, columns = _assign(whole, alike)
    on_void = overlaps(said_visible, void)
    alone = 2 * on_void <= areas(said_visible)
    alone[columns] = False
    either = true_occluded.copy()
    either[rows] |= said_occluded[columns]
    matched = true[rows]
    best = _coverage(true_visible, said_visible, on_void, void, alike)
    hidden_cover = _picked(hidden, best) * areas(true_hidden)

    def per_class(labels: Integers, values: Floats | Integers | Mask) -> Floats:
        summed: Floats = np.bincount(labels, np.asarray(values, np.float64), classes).astype(np.float64)
        return summed

    return MohanValadaCounts(
        per_class(matched, visible[rows, columns]),
        per_class(true, np.ones(len(true))) + per_class(said, alone),
        per_class(matched, hidden[rows, columns]),
        per_class(true, either) + per_class(said, alone & said_occluded),
        per_class(true, best[1] * areas(true_visible)),
        per_class(true, areas(true_visible)),
        per_class(true, hidden_cover),
        per_class(true, areas(true_hidden)),
    )


def _ious(rows: Packed, columns: Packed, alike: Mask) -> Floats:
    shared = intersections(rows, columns, alike)
    return ious(shared, areas(rows)[:, None] + areas(columns) - shared)


def _assign(whole: Floats, alike: Mask) -> tuple[Integers, Integers]:
    """Pairs of one class with the largest sum of IoU, as many as there can be."""
    # A pair of one class is worth more than any sum of IoU, so that none is left out for the sake of another.
    worth = np.where(alike, whole + whole.size + 1, 0.0)
    rows, columns = linear_sum_assignment(worth, maximize=True)
    kept = alike[rows, columns]
    return rows[kept], columns[kept]


def _coverage(truth: Packed, prediction: Packed, on_void: Integers, void: Mask, alike: Mask) -> tuple[Integers, Floats]:
    """For each true object the prediction (N,) that covers its visible part best, void left out, and how well (N,)."""
    shared = intersections(truth, prediction, alike)
    # A prediction's share of void inside the true object is void that the truth calls an object: it counts.
    inside = intersections(truth, Packed(prediction.words & pack(void[None]).words, prediction.first, prediction.last), alike)
    iou = ious(shared, areas(truth)[:, None] + areas(prediction) - (on_void - inside) - shared)
    if not iou.shape[1]:
        return np.full(len(iou), -1), np.zeros(len(iou))
    best = iou.argmax(axis=1)
    cover = iou[np.arange(len(iou)), best]
    return np.where(cover > 0, best, -1), cover


def _picked(table: Floats, best: tuple[Integers, Floats]) -> Floats:
    """Each row's entry in the column picked for it; 0 where none was."""
    columns = best[0]
    if not table.shape[1]:
        return np.zeros(len(table))
    return np.where(columns >= 0, table[np.arange(len(table)), np.maximum(columns, 0)], 0.0)


def _ratio(part: Floats, whole: Floats) -> Floats:
    return np.where(whole > 0, part / np.maximum(whole, 1e-12), np.nan)
