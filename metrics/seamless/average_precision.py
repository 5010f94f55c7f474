"""Average precision as in the Cityscapes benchmark: AP of visible masks, AAP of whole (amodal) masks; one rule for both.

It differs from COCO's: the curve is integrated by the trapezoid rule between distinct scores instead of at 101 points, there is
no limit of detections, and a prediction on void or on objects too small to count is forgiven.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from metrics.seamless.matching import by_score, ious, surest_per_truth
from metrics.seamless.objects import Objects, intersections, overlaps, same_class
from metrics.seamless.quality import Figures, check_classes, mean_of_known

Mask = NDArray[np.bool_]
Integers = NDArray[np.integer]
Floats = NDArray[np.floating]
THRESHOLDS = np.arange(0.5, 1.0, 0.05)
SMALLEST = 100
"""Pixels. True objects with fewer neither count nor harm."""


@dataclass(frozen=True, eq=False)
class DetectionCounts:
    """What AP needs of a set of images; ``+`` joins two sets. Exact, and a few bytes for each detection.

    ``classes`` (D,) int16, ``scores`` (D,) float64, ``hits`` and ``misses`` (D, T) int8: how often a detection is a true and a
    false positive at each threshold (0 and 0: forgiven). ``truths`` (C,) int64: true objects that count.
    """

    classes: Integers
    scores: Floats
    hits: Integers
    misses: Integers
    truths: Integers

    def __add__(self, other: DetectionCounts) -> DetectionCounts:
        return joined([self, other])

    def per_class(self) -> Floats:
        """AP (C, T) float64; NaN for a class without true objects, 0 for one with, of which nothing was detected."""
        table = np.full((len(self.truths), self.hits.shape[1]), np.nan)
        for label in np.flatnonzero(self.truths):
            own = self.classes == label
            hits, misses = self.hits[own], self.misses[own]
            table[label] = [
                average_precision(self.scores[own], hits[:, level], misses[:, level], int(self.truths[label]))
                for level in range(table.shape[1])
            ]
        return table

    def figures(self) -> Figures:
        """``ap``: mean over thresholds and classes with true objects; ``ap50``: at the first threshold. None without any."""
        table = self.per_class()
        return {"ap": mean_of_known(table), "ap50": mean_of_known(table[:, 0])}


def joined(parts: list[DetectionCounts]) -> DetectionCounts:
    """The counts of all parts, in their order; faster than adding one by one. At least one part."""
    return DetectionCounts(
        np.concatenate([part.classes for part in parts]),
        np.concatenate([part.scores for part in parts]),
        np.concatenate([part.hits for part in parts]),
        np.concatenate([part.misses for part in parts]),
        np.stack([part.truths for part in parts]).sum(axis=0),
    )


def detection_counts(
    prediction: Objects,
    truth: Objects,
    classes: int,
    void: Mask | None = None,
    smallest: int = SMALLEST,
    paper_compat: bool = False,
    of_interest: tuple[Mask, Mask] | None = None,
) -> DetectionCounts:
    """Counts of one image, from raw detections.

    Parameters
    ----------
    prediction, truth : visible masks for AP, whole masks for AAP
    classes : how many there are
    void : (H, W) bool, pixels of the truth that nobody labelled
    smallest : pixels of the smallest true object that counts
    paper_compat : match as Cityscapes' script does, where one detection can serve two true objects whose masks
        overlap. For masks that do not overlap it makes no difference.
    of_interest : (M,) and (N,) bool: predictions that may be false positives, and true objects that count, for a figure of some
        objects only; all where not given
    """
    said, true = check_classes("prediction", prediction.classes, classes), check_classes("truth", truth.classes, classes)
    shared = intersections(truth.packed, prediction.packed, same_class(true, said))
    iou = ious(shared, truth.areas[:, None] + prediction.areas - shared)
    can_miss, can_count = of_interest or (np.ones(len(said), bool), np.ones(len(true), bool))
    counted = (truth.areas >= max(smallest, 1)) & ~truth.is_crowd & can_count
    match = surest_per_truth if paper_compat else by_score
    matched = match(iou[counted], prediction.confidence, THRESHOLDS)
    misses = _misses(iou, matched, counted, paper_compat)
    ignored = _ignored_share(prediction, truth, counted, void)
    explained = (iou[..., None] > THRESHOLDS).any(axis=0) if len(true) else np.zeros((len(said), len(THRESHOLDS)), bool)
    alone = ~explained & ~(ignored[:, None] > THRESHOLDS)
    misses += alone & can_miss[:, None]
    drawn = prediction.areas > 0
    return DetectionCounts(
        said[drawn].astype(np.int16),
        prediction.confidence[drawn],
        matched.sum(axis=0)[drawn].astype(np.int8),
        misses[drawn].astype(np.int8),
        np.bincount(true[counted], minlength=classes),
    )


def _misses(iou: Floats, matched: Mask, counted: Mask, paper_compat: bool) -> Integers:
    """How often (M, T) each prediction that fits a true object that counts is a second one for it."""
    above = iou[counted][..., None] > THRESHOLDS
    if paper_compat:
        doubles: Integers = (above & ~matched).sum(axis=0)
        return doubles
    excused = (iou[~counted][..., None] > THRESHOLDS).any(axis=0)
    return np.asarray(above.any(axis=0) & ~matched.any(axis=0) & ~excused, np.int64)


def _ignored_share(prediction: Objects, truth: Objects, counted: Mask, void: Mask | None) -> Floats:
    """Share (M,) of each prediction on void and on true objects of its class that do not count, no pixel counted twice."""
    nothing = np.zeros(prediction.masks.shape[1:], bool)
    void = nothing if void is None else void
    pixels = overlaps(prediction.packed, void)
    for label in np.unique(np.asarray(truth.classes)[~counted]):
        own = np.asarray(prediction.classes) == label
        if own.any():
            region = void | truth.masks[~counted & (truth.classes == label)].any(axis=0)
            pixels[own] = overlaps(prediction.chosen(own).packed, region)
    return pixels / np.maximum(prediction.areas, 1)


def average_precision(scores: Floats, hits: Integers, misses: Integers, truths: int) -> float:
    """Area under precision over recall of one class at one threshold.

    Parameters
    ----------
    scores : (D,) float
    hits, misses : (D,) int, how often each detection is a true and a false positive
    truths : true objects, at least 1

    Notes
    -----
    A point of the curve stands for each distinct score, and (recall 0, precision 1) for a score above all. Each precision has the
    weight of half the recall between its two neighbours.
    """
    heard = (hits > 0) | (misses > 0)
    if not heard.any():
        return 0.0
    levels, index = np.unique(scores[heard], return_inverse=True)
    hit, miss = (np.bincount(index, given[heard], len(levels))[::-1].cumsum()[::-1] for given in (hits, misses))
    precision, recall = np.append(hit / (hit + miss), 1.0), np.append(hit / truths, 0.0)
    around = np.concatenate([recall[:1], recall, [0.0]])
    return float(precision @ (0.5 * (around[:-2] - around[2:])))
