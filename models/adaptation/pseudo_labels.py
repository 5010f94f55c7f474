"""Omni pseudo-labels (UNLOCK eq. 2, 3, 5, 6): which of a source model's predictions on an unlabelled panorama to learn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from geometry.instances.boxes import Boxes, mask_boxes

Mask = NDArray[np.bool_]
Integers = NDArray[np.integer]
Floats = NDArray[np.floating]
Veto = Literal["cut", "objects"]
IGNORED = 255


@dataclass(frozen=True, eq=False)
class OmniLabels:
    """Pseudo-labels of one instance branch on one panorama.

    Of the objects to learn: ``masks`` (K, H, W) bool, ``classes`` (K,), ``scores`` (K,), ``boxes`` (K, 4) as in
    ``geometry/instances/boxes.py``. ``uncertain`` (H, W) bool: pixels where something may be, so that nothing is learned there;
    no object holds such a pixel.
    """

    masks: Mask
    classes: Integers
    scores: Floats
    boxes: Boxes
    uncertain: Mask


def omni_labels(
    masks: Mask,
    classes: Integers,
    scores: Floats,
    thing_area: Mask,
    thresholds: Floats,
    least: float = 0.05,
    veto: Veto = "cut",
) -> OmniLabels:
    """Objects to learn and the uncertain region.

    Parameters
    ----------
    masks, classes, scores : (N, H, W) bool, (N,) int, (N,) float: what the branch detected
    thing_area : (H, W) bool, where the semantic branch sees a Thing
    thresholds : (C,) float, of :func:`models.adaptation.thresholds.class_thresholds`
    least : detections with a lower score are forgotten altogether
    veto : what becomes of a mask outside of that area
        ``cut``, as in the paper, leaves the part inside, or nothing. ``objects`` leaves the mask whole, hidden parts among it, if
        at least half of it lies inside, and forgets it otherwise.

    Notes
    -----
    Boxes are those of the objects' own pixels.
    """
    inside = masks & thing_area
    if veto == "objects":
        inside = masks & (2 * inside.sum((1, 2)) >= masks.sum((1, 2)))[:, None, None]
    real = (scores >= least) & np.any(inside, axis=(1, 2))
    masks, classes, scores = inside[real], classes[real], scores[real]
    kept = scores >= np.asarray(thresholds)[classes]
    uncertain = np.any(masks[~kept], axis=0) & ~np.any(masks[kept], axis=0)
    return OmniLabels(masks[kept], classes[kept], scores[kept], mask_boxes(masks[kept]), uncertain)


def thing_area(semantics: Integers, things: Sequence[int]) -> Mask:
    """Where a class map (H, W) int, before any threshold, says a Thing (eq. 2)."""
    return np.isin(semantics, list(things))


def semantic_labels(semantics: Integers, confidence: Floats, thresholds: Floats) -> NDArray[np.uint8]:
    """The class map (H, W) uint8 to learn: ``IGNORED`` where it is, or where the confidence is below the class's threshold."""
    known = semantics < len(thresholds)
    least = np.asarray(thresholds)[np.where(known, semantics, 0)]
    return np.where(known & (confidence >= least), semantics, IGNORED).astype(np.uint8)
