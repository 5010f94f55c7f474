"""All figures of seamless segmentation at once: counts of an image, of a block, of a data set, and what to report of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metrics.seamless.amodal_panoptic import AmodalPanoptic, amodal_panoptic_counts
from metrics.seamless.average_precision import DetectionCounts, detection_counts, joined
from metrics.seamless.objects import Objects
from metrics.seamless.panoptic import PanopticMap, panoptic_counts
from metrics.seamless.quality import Figures, QualityCounts
from metrics.seamless.seams import seam_detection_counts
from metrics.seamless.semantic import miou, semantic_counts

Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True, eq=False)
class SeamlessLabels:
    """The five maps of one image, predicted or true.

    ``semantics`` (H, W) int, 255 where the truth says nothing; ``panoptic``; ``amodal_panoptic``, whose ``void`` also serves the
    detections; ``instances`` and ``amodals``: raw detections with scores, or the true visible and whole objects.
    """

    semantics: NDArray[np.integer]
    panoptic: PanopticMap
    amodal_panoptic: AmodalPanoptic
    instances: Objects
    amodals: Objects


@dataclass(frozen=True, eq=False)
class SuiteCounts:
    """Counts of a set of images; :func:`merged` joins sets, :meth:`arrays` and :func:`from_arrays` store and restore them."""

    semantic: NDArray[np.floating]
    panoptic: QualityCounts
    amodal_panoptic: QualityCounts
    instances: DetectionCounts
    amodals: DetectionCounts
    seam: DetectionCounts

    def figures(self, things: range) -> Figures:
        """mIoU, mPQ, mAPQ, mAP, mAAP by the paper's names, and ``mAAP_seam``, of objects across the seam; None if undefined."""
        return {
            "mIoU": miou(self.semantic)[0],
            "mPQ": self.panoptic.figures(things)["quality"],
            "mAPQ": self.amodal_panoptic.figures(things)["quality"],
            "mAP": self.instances.figures()["ap"],
            "mAAP": self.amodals.figures()["ap"],
            "mAAP_seam": self.seam.figures()["ap"],
        }

    def arrays(self) -> Arrays:
        """Every count as an array, by name."""
        parts: Arrays = {"semantic": self.semantic}
        for name in ("panoptic", "amodal_panoptic", "instances", "amodals", "seam"):
            counts = getattr(self, name)
            parts |= {f"{name}.{one.name}": getattr(counts, one.name) for one in fields(counts)}
        return parts


def suite_counts(prediction: SeamlessLabels, truth: SeamlessLabels, classes: int, paper_compat: bool = False) -> SuiteCounts:
    """Counts of one image; ``paper_compat`` as in :func:`amodal_panoptic_counts` and :func:`detection_counts`."""
    void = truth.amodal_panoptic.void
    return SuiteCounts(
        semantic_counts(prediction.semantics, truth.semantics, classes),
        panoptic_counts(prediction.panoptic, truth.panoptic, classes),
        amodal_panoptic_counts(prediction.amodal_panoptic, truth.amodal_panoptic, classes, paper_compat),
        detection_counts(prediction.instances, truth.instances, classes, void, paper_compat=paper_compat),
        detection_counts(prediction.amodals, truth.amodals, classes, void, paper_compat=paper_compat),
        seam_detection_counts(prediction.amodals, truth.amodals, classes, void),
    )


def merged(parts: Iterable[SuiteCounts]) -> SuiteCounts:
    """The counts of all parts together. ValueError if there is none."""
    listed = list(parts)
    if not listed:
        raise ValueError("there are no counts to merge: no image was measured")
    first, rest = listed[0], listed[1:]
    return SuiteCounts(
        sum((part.semantic for part in rest), first.semantic),
        sum((part.panoptic for part in rest), first.panoptic),
        sum((part.amodal_panoptic for part in rest), first.amodal_panoptic),
        joined([part.instances for part in listed]),
        joined([part.amodals for part in listed]),
        joined([part.seam for part in listed]),
    )


def from_arrays(arrays: Mapping[str, NDArray[Any]]) -> SuiteCounts:
    """The counts that :meth:`SuiteCounts.arrays` gave."""

    def own(name: str, kind: type) -> Any:
        return kind(*(arrays[f"{name}.{one.name}"] for one in fields(kind)))

    qualities = (own(name, QualityCounts) for name in ("panoptic", "amodal_panoptic"))
    detections = (own(name, DetectionCounts) for name in ("instances", "amodals", "seam"))
    return SuiteCounts(arrays["semantic"], *qualities, *detections)
