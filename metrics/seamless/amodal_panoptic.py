"""Amodal panoptic quality (APQ; mAPQ is its mean over classes) of the seamless segmentation task.

The formula is that of PQ: visible stuff against visible stuff, whole Things against whole Things. It is not the metric of
Mohan and Valada, which bears the same name: that one is in ``mohan_valada.py``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from metrics.seamless.matching import every_pair, ious, one_to_one
from metrics.seamless.objects import Objects, intersections, overlaps, restrict, same_class
from metrics.seamless.panoptic import joint_areas
from metrics.seamless.quality import QualityCounts, check_classes, count_matches

Mask = NDArray[np.bool_]
Integers = NDArray[np.integer]
NO_STUFF = -1


@dataclass(frozen=True, eq=False)
class AmodalPanoptic:
    """One image: what stuff is visible where, and every Thing as a whole.

    Parameters
    ----------
    stuff : (H, W) int, class of the visible stuff, ``NO_STUFF`` elsewhere
    things : objects with whole (amodal) masks
    void : (H, W) bool, pixels of the truth that nobody labelled; none where not given. Of no effect in a prediction.
    """

    stuff: Integers
    things: Objects
    void: Mask | None = None

    def __post_init__(self) -> None:
        if self.stuff.shape != self.things.masks.shape[1:]:
            raise ValueError(f"stuff is {self.stuff.shape}, masks are {self.things.masks.shape[1:]}")
        if self.void is not None and self.void.shape != self.stuff.shape:
            raise ValueError(f"void is {self.void.shape}, stuff is {self.stuff.shape}")


def amodal_panoptic_counts(
    prediction: AmodalPanoptic, truth: AmodalPanoptic, classes: int, paper_compat: bool = False
) -> QualityCounts:
    """Counts of one image; ``figures`` of their sum gives APQ.

    ``paper_compat``: every pair of one class with IoU > 0.5 is a match, so that two predictions can score with one
    true object, as in the release. Otherwise each true object and each prediction is matched at most once.
    """
    if prediction.stuff.shape != truth.stuff.shape:
        raise ValueError(f"prediction is {prediction.stuff.shape}, truth {truth.stuff.shape}")
    void = np.zeros(truth.stuff.shape, bool) if truth.void is None else truth.void
    stuff = _stuff_counts(prediction.stuff, truth.stuff, void, classes)
    return stuff + thing_counts(prediction.things, truth.things, void, classes, paper_compat)


def _stuff_counts(prediction: Integers, truth: Integers, void: Mask, classes: int) -> QualityCounts:
    for name, given in (("prediction", prediction), ("truth", truth)):
        if given.min(initial=0) < NO_STUFF or given.max(initial=0) >= classes:
            raise ValueError(f"{name}: stuff must be {NO_STUFF} or a class from 0 to {classes - 1}")
    rows = np.where(void, 0, truth + 2)
    joint = joint_areas(rows, prediction + 1, classes + 2, classes + 1)
    each = np.arange(classes)
    hit, on_void = np.diag(joint[2:, 1:]), joint[0, 1:]
    said, true = joint[:, 1:].sum(axis=0), joint[2:].sum(axis=1)
    iou = np.diag(ious(hit, said - on_void + true - hit))
    return count_matches(iou, every_pair(iou), each, each, true > 0, (said > 0) & (2 * on_void <= said), classes)


def thing_counts(prediction: Objects, truth: Objects, void: Mask, classes: int, paper_compat: bool = False) -> QualityCounts:
    """Counts of one image's Things alone.

    Notes
    -----
    A whole mask may reach under void. Only what a prediction has on void *outside* the true object is left out of their union;
    for masks that stay off void this is PQ's rule.
    """
    said, true = check_classes("prediction", prediction.classes, classes), check_classes("truth", truth.classes, classes)
    alike, crowd = same_class(true, said), truth.is_crowd
    shared = intersections(truth.packed, prediction.packed, alike)
    on_void = overlaps(prediction.packed, void)
    under_both = intersections(restrict(truth.packed, void), prediction.packed, alike) if void.any() else np.zeros_like(shared)
    unions = prediction.areas - (on_void - under_both) + truth.areas[:, None] - shared
    iou = ious(np.where(crowd[:, None], 0, shared), unions)
    pairs = every_pair(iou) if paper_compat else one_to_one(iou)
    punishable = (prediction.areas > 0) & (2 * _forgiven(prediction, truth, void, alike, on_void) <= prediction.areas)
    return count_matches(iou, pairs, true, said, (truth.areas > 0) & ~crowd, punishable, classes)


def _forgiven(prediction: Objects, truth: Objects, void: Mask, alike: Mask, on_void: Integers) -> Integers:
    """Pixels (M,) of each prediction on void and on crowds of its class, none counted twice."""
    forgiven = on_void.copy()
    for label in np.unique(np.asarray(truth.classes)[truth.is_crowd]):
        region = void | truth.masks[truth.is_crowd & (truth.classes == label)].any(axis=0)
        own = np.asarray(prediction.classes) == label
        forgiven[own] = overlaps(prediction.chosen(own).packed, region)
    return forgiven
