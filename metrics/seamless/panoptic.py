"""Panoptic quality (PQ; mPQ is its mean over classes) of maps in which every pixel has at most one segment."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from metrics.seamless.matching import every_pair, ious
from metrics.seamless.objects import same_class
from metrics.seamless.quality import QualityCounts, check_classes, count_matches

Mask = NDArray[np.bool_]
Integers = NDArray[np.integer]
VOID = -1


@dataclass(frozen=True, eq=False)
class PanopticMap:
    """One image's segments.

    Parameters
    ----------
    segments : (H, W) int, each pixel's segment 0 .. S - 1, or ``VOID``; a segment that crosses the seam is one segment
    classes : (S,) int
    crowd : (S,) bool, segments of the truth that stand for a group; none where not given

    Raises
    ------
    ValueError
        If a pixel names a segment that has no class, or shapes do not fit.
    """

    segments: Integers
    classes: Integers
    crowd: Mask | None = None

    def __post_init__(self) -> None:
        if self.segments.ndim != 2:
            raise ValueError(f"segments must be (H, W), not {self.segments.shape}")
        highest = int(self.segments.max(initial=VOID))
        if highest >= len(self.classes) or int(self.segments.min(initial=0)) < VOID:
            raise ValueError(f"segments must be {VOID} (void) to {len(self.classes) - 1}, but one is {highest}")
        if self.crowd is not None and len(self.crowd) != len(self.classes):
            raise ValueError(f"crowd must have one entry for each of the {len(self.classes)} segments, not {len(self.crowd)}")


def panoptic_map(semantics: Integers, instances: Integers, classes: int, things: range) -> PanopticMap:
    """Segments of a class map and an instance map, both (H, W) int.

    Stuff makes one segment a class, whatever its instance; a Thing one segment for each instance of its class that is not 0.
    Classes outside 0 .. classes - 1, and Things without an instance, are void.
    """
    is_thing = (semantics >= things.start) & (semantics < things.stop)
    void = (semantics < 0) | (semantics >= classes) | (is_thing & (instances == 0))
    names = np.where(is_thing, instances.astype(np.int64), 0) * classes + np.where(void, 0, semantics)
    names = np.where(void, VOID, names)
    known, index = np.unique(names, return_inverse=True)
    shift = int(known[0] == VOID) if len(known) else 0
    return PanopticMap(index.reshape(names.shape) - shift, known[shift:] % classes)


def panoptic_counts(prediction: PanopticMap, truth: PanopticMap, classes: int) -> QualityCounts:
    """Counts of one image; ``figures`` of their sum gives PQ.

    Notes
    -----
    As panopticapi: a match needs one class and IoU > 0.5; the union leaves out what the prediction has on void; an unmatched
    prediction is forgiven if more than half of it lies on void and on crowds of its class; crowds are neither found nor missed.
    """
    if prediction.segments.shape != truth.segments.shape:
        raise ValueError(f"prediction is {prediction.segments.shape}, truth {truth.segments.shape}")
    said = check_classes("prediction", prediction.classes, classes)
    true = check_classes("truth", truth.classes, classes)
    joint = joint_areas(truth.segments + 1, prediction.segments + 1, len(true) + 1, len(said) + 1)
    shared, on_void = joint[1:, 1:], joint[0, 1:]
    said_area, true_area = joint[:, 1:].sum(axis=0), joint[1:].sum(axis=1)
    crowd = np.zeros(len(true), bool) if truth.crowd is None else np.asarray(truth.crowd, bool)
    alike = same_class(true, said)
    comparable = alike & ~crowd[:, None]
    iou = ious(np.where(comparable, shared, 0), said_area - on_void + true_area[:, None] - shared)
    forgiven = on_void + np.where(alike & crowd[:, None], shared, 0).sum(axis=0)
    missable = (true_area > 0) & ~crowd
    punishable = (said_area > 0) & (2 * forgiven <= said_area)
    return count_matches(iou, every_pair(iou), true, said, missable, punishable, classes)


def joint_areas(rows: Integers, columns: Integers, row_count: int, column_count: int) -> Integers:
    """Pixels (row_count, column_count) int64 of every pair of labels in two maps of labels from 0."""
    flat = rows.ravel().astype(np.int64) * column_count + columns.ravel()
    return np.bincount(flat, minlength=row_count * column_count).reshape(row_count, column_count)
