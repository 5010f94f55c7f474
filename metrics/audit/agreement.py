"""How well views agree, by split and band: what can be said of fused labels without any truth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from metrics.audit.bands import Split, split_bands
from metrics.weights import row_weights

Array = NDArray[np.floating]

MEASURES = {task: f"{task}_consistency" for task in ("depth", "normals", "semantics")}
"""Task -> its array of agreement among the fused labels, uint8; 0 where fewer than two views have a say."""


def agreement_rows(classes: Sequence[str]) -> list[tuple[str, str, str]]:
    """Task, split and band of every row of :func:`agreement_sums`, for the labels' vocabulary."""
    bands = split_bands(classes)
    return [(task, split, band) for task in MEASURES for split, names in bands.items() for band in names]


def agreement_sums(labels: Mapping[str, NDArray], parts: Sequence[Split]) -> Array:
    """Weight and weighted agreement in [0, 1] (rows, 2) of one panorama, by solid angle; zeros for a task that is not there.

    Parameters
    ----------
    labels : ERP arrays as the stage ``fuse`` gives them
    parts : splits of the ERP
    """
    area = np.repeat(row_weights(len(labels["views"]), by_area=True), labels["views"].shape[1])
    found = []
    for measure in MEASURES.values():
        agreed = labels[measure].ravel() / 255 if measure in labels else np.zeros(len(area))
        weight = area * (agreed > 0)
        columns = np.stack([weight, weight * agreed])
        found += [split.sums(columns) for split in parts]
    return np.concatenate(found)
