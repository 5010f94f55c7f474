"""How well views agree, by split and band: what can be said of fused labels without any truth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from metrics.bands import Split, split_bands
from metrics.weights import row_weights

Array = NDArray[np.floating]

MEASURES = {"depth": "depth_consistency", "normals": "normals_agreement", "semantics": "semantics_confidence"}
"""Task -> its array of agreement among the fused labels, uint8."""


def agreement_rows(classes: Sequence[str]) -> list[tuple[str, str, str]]:
    """Task, split and band of every row of :func:`agreement_sums`, for the labels' vocabulary."""
    bands = split_bands(classes)
    return [(task, split, band) for task in MEASURES for split, names in bands.items() for band in names]


def judged_pixels(labels: Mapping[str, NDArray], task: str) -> NDArray[np.bool_]:
    """Valid pixels (H, W) that two views or more see: elsewhere there is nothing to agree with."""
    if MEASURES[task] not in labels:
        return np.zeros(labels["views"].shape, bool)
    return np.asarray(labels[f"{task}_valid"] & (labels["views"] >= 2), bool)


def agreement_sums(labels: Mapping[str, NDArray], parts: Sequence[Split]) -> Array:
    """Weight and weighted agreement in [0, 1] (rows, 2) of one panorama, by solid angle; zeros for a task that is not there.

    Parameters
    ----------
    labels : ERP arrays as the stage ``fuse`` gives them
    parts : splits of the ERP
    """
    area = np.repeat(row_weights(len(labels["views"]), by_area=True), labels["views"].shape[1])
    found = []
    for task, measure in MEASURES.items():
        weight = area * judged_pixels(labels, task).ravel()
        agreed = labels[measure].ravel() / 255 if measure in labels else 0.0
        columns = np.stack([weight, weight * agreed])
        found += [split.sums(columns) for split in parts]
    return np.concatenate(found)
