"""Counts behind every "quality" of the suite: sum IoU / (TP + FP/2 + FN/2), class by class, added over images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from metrics.seamless.matching import Pairs

Mask = NDArray[np.bool_]
Integers = NDArray[np.integer]
Floats = NDArray[np.floating]
Figures = dict[str, float | None]


@dataclass(frozen=True, eq=False)
class QualityCounts:
    """Per class, each (C,) float64: summed IoU of matches, true positives, false positives, false negatives.

    ``+`` joins the counts of two sets of images.
    """

    iou: Floats
    true_positives: Floats
    false_positives: Floats
    false_negatives: Floats

    def __add__(self, other: QualityCounts) -> QualityCounts:
        return QualityCounts(
            self.iou + other.iou,
            self.true_positives + other.true_positives,
            self.false_positives + other.false_positives,
            self.false_negatives + other.false_negatives,
        )

    def per_class(self) -> Floats:
        """Quality (C,) float64, NaN for a class that was neither there nor predicted."""
        weight = self.true_positives + self.false_positives / 2 + self.false_negatives / 2
        return np.where(weight > 0, self.iou / np.maximum(weight, 0.5), np.nan)

    def segmentation(self) -> Floats:
        """Mean IoU of matches (C,) float64, 0 without a match, NaN where :meth:`per_class` is."""
        mean = self.iou / np.maximum(self.true_positives, 1)
        return np.where(np.isnan(self.per_class()), np.nan, mean)

    def recognition(self) -> Floats:
        """TP / (TP + FP/2 + FN/2), (C,) float64, NaN where :meth:`per_class` is."""
        weight = self.true_positives + self.false_positives / 2 + self.false_negatives / 2
        return np.where(weight > 0, self.true_positives / np.maximum(weight, 0.5), np.nan)

    def figures(self, things: Sequence[int]) -> Figures:
        """Means over the classes that are present: ``quality``, ``segmentation``, ``recognition``, and ``quality`` by kind.

        None where no class is present.
        """
        thing = np.isin(np.arange(len(self.iou)), list(things))
        quality = self.per_class()
        return {
            "quality": mean_of_known(quality),
            "segmentation": mean_of_known(self.segmentation()),
            "recognition": mean_of_known(self.recognition()),
            "quality_things": mean_of_known(quality[thing]),
            "quality_stuff": mean_of_known(quality[~thing]),
        }


def no_counts(classes: int) -> QualityCounts:
    """Counts of no image."""
    return QualityCounts(*np.zeros((4, classes)))


def mean_of_known(values: Floats) -> float | None:
    """Mean of what is not NaN; None if nothing is."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else None


def count_matches(
    iou: Floats,
    pairs: Pairs,
    truth_classes: Integers,
    predicted_classes: Integers,
    missable: Mask,
    punishable: Mask,
    classes: int,
) -> QualityCounts:
    """Counts of one image.

    Parameters
    ----------
    iou : (N, M) float, true segments by predictions
    pairs : the matched ones
    truth_classes, predicted_classes : (N,), (M,) int
    missable : (N,) bool, true segments that are a false negative if unmatched
    punishable : (M,) bool, predictions that are a false positive if unmatched
    classes : how many there are
    """
    truth, prediction = pairs
    missed, invented = missable.copy(), punishable.copy()
    missed[truth] = invented[prediction] = False
    of_pair = truth_classes[truth]
    return QualityCounts(
        np.bincount(of_pair, iou[truth, prediction], classes).astype(np.float64),
        np.bincount(of_pair, minlength=classes).astype(np.float64),
        np.bincount(predicted_classes[invented], minlength=classes).astype(np.float64),
        np.bincount(truth_classes[missed], minlength=classes).astype(np.float64),
    )


def check_classes(name: str, given: Integers, classes: int) -> Integers:
    """The classes as int64; ValueError if one is outside 0 .. classes - 1."""
    given = np.asarray(given, np.int64)
    if len(given) and not (given.min() >= 0 and given.max() < classes):
        raise ValueError(f"{name}: class {int(given.min() if given.min() < 0 else given.max())} is not one of 0 to {classes - 1}")
    return given
