"""How far the views of a panorama agree, as figures of the whole panorama: what can be said of labels without ground truth.

Every figure lies in 0..1 and is a mean weighted by solid angle over the pixels that can be judged; one that no pixel can be
judged for is left out.

| figure                   | mean of                                                                                          |
|--------------------------|--------------------------------------------------------------------------------------------------|
| consistency_depth        | ``depth_consistency / 255``: exp(-deviation of log distance between views / consistency_scale)    |
| consistency_normals      | ``normals_consistency / 255``: exp(-angle between two views' normals / 20 degrees)                |
| consistency_semantics    | ``semantics_consistency / 255``: 1 - Jensen-Shannon divergence as a share of its largest value    |
| consistency              | the geometric mean of those of the three ``consistency_*`` that there are                         |
| rotation_consistency_*   | ``*_rotation_consistency / 255`` of depth, normals, semantics: as above, between labellings       |
| rotation_consistency     | the geometric mean of these; with ``label.rotations`` only                                        |
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from geometry.directions import erp_area_weights

Labels = Mapping[str, NDArray]
TASKS = ("depth", "normals", "semantics")


def consistency_figures(labels: Labels) -> dict[str, float]:
    """The figures of the module's table that ERP labels (H, W[, 3]) of the stage ``fuse`` allow, rounded to four digits."""
    figures = _means(labels, "consistency") | _means(labels, "rotation_consistency")
    return {name: round(value, 4) for name, value in figures.items()}


def _means(labels: Labels, kind: str) -> dict[str, float]:
    """The mean of each task's array of one kind, and under its name their geometric mean: good parts do not make up for bad."""
    found = {f"{kind}_{task}": judged_mean(labels[f"{task}_{kind}"]) for task in TASKS if f"{task}_{kind}" in labels}
    known = {name: value for name, value in found.items() if value is not None}
    return known | ({kind: float(np.prod(list(known.values())) ** (1 / len(known)))} if known else {})


def judged_mean(consistency: NDArray[np.uint8]) -> float | None:
    """Mean (0..1) of a stored consistency (H, W), where 0 stands for a pixel that could not be judged; None if none could."""
    area, judged = erp_area_weights(len(consistency)), np.count_nonzero(consistency, axis=1)
    return float(area @ consistency.sum(axis=1, dtype=np.int64) / (255 * (area @ judged))) if judged.any() else None
