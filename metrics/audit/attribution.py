"""Where an error comes from: four parts that add up to it, from errors measured at five places along the path.

The path of a label is: what the teacher says in a patch, that brought back to the sphere view by view, the views fused. The
truth can be sent along the same path. At each place there is an error against the truth:

| level          | what is compared with the truth                                                     |
|----------------|-------------------------------------------------------------------------------------|
| `patch`        | the teacher's patches, pixel by pixel, with the truth's patches                     |
| `single`       | each view's patch at the ERP pixels it sees, on average over the views of a pixel   |
| `single_truth` | the same for the truth's own patches: what resampling alone costs                   |
| `floor`        | the truth's patches, fused and stored: what the round trip alone costs              |
| `fused`        | the fused labels                                                                    |

All levels are means over the same directions, by solid angle, and a direction that n views see counts 1/n for each. The parts:

    floor    = floor
    teacher  = patch
    way_back = (single - single_truth) - patch
    fusion   = (fused - floor) - (single - single_truth)
    total    = floor + teacher + way_back + fusion = fused

The last line holds identically. A teacher that says just what the truth's patches say leaves the floor alone: patch is 0, single
is single_truth, fused is floor. A negative ``fusion`` is what fusing heals.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]

COLUMNS = ("patch_weight", "patch", "weight", "single", "single_truth", "floor", "fused")
"""Sums that are kept of a band: the weight of its patch pixels and their weighted errors, that of its ERP pixels and theirs."""
LEVELS = ("patch", "single", "single_truth", "floor", "fused")
PARTS = ("floor", "teacher", "way_back", "fusion", "total")


def level_errors(sums: Array) -> Array:
    """Mean errors (..., 5) in the order of :data:`LEVELS` from sums (..., 7) in that of :data:`COLUMNS`; NaN without weight.

    Sums of several panoramas may be added first: that pools their pixels.
    """
    weights = sums[..., [0, 2, 2, 2, 2]]
    means = np.full(weights.shape, np.nan)
    return np.divide(sums[..., [1, 3, 4, 5, 6]], weights, out=means, where=weights > 0)


def parts(levels: Array) -> Array:
    """The parts (..., 5) in the order of :data:`PARTS` of errors (..., 5) in that of :data:`LEVELS`."""
    patch, single, single_truth, floor, fused = np.moveaxis(np.asarray(levels, np.float64), -1, 0)
    came_back = single - single_truth
    return np.stack([floor, patch, came_back - patch, (fused - floor) - came_back, fused], axis=-1)


def class_overlap(said: NDArray[np.integer], true: NDArray[np.integer], weights: Array, classes: int) -> Array:
    """Weight (3, classes) of the pixels of each class that are hit, true and said; -1 is no class."""

    def of_each(labels: NDArray[np.integer], of: Array) -> Array:
        return np.bincount(np.asarray(labels, np.intp) + 1, of, classes + 1)[1:].astype(np.float64)

    weights = np.asarray(weights, np.float64)
    return np.stack([of_each(true, weights * (said == true)), of_each(true, weights), of_each(said, weights)])


def missing_iou(overlap: Array) -> Array:
    """1 - mIoU (...) over the classes of the truth from :func:`class_overlap` (..., 3, classes); NaN without a pixel."""
    hit, true, said = np.moveaxis(overlap, -2, 0)
    union = true + said - hit
    iou = np.divide(hit, union, out=np.zeros_like(hit), where=union > 0)
    present = (true > 0).sum(axis=-1)
    mean = np.divide((iou * (true > 0)).sum(axis=-1), present, out=np.full(present.shape, np.nan), where=present > 0)
    return 1 - mean
