"""How far the views of a panorama agree, as figures of the whole panorama: what can be said of labels without ground truth.

Every figure lies in 0..1 and is a mean weighted by solid angle over the pixels that can be judged; one that no pixel can be
judged for is left out.

| figure                   | mean of                                                                                          |
|--------------------------|--------------------------------------------------------------------------------------------------|
| consistency_depth        | ``depth_consistency / 255``: exp(-deviation of log distance between views / consistency_scale)    |
| consistency_normals      | ``normals_consistency / 255``: exp(-angle between two views' normals / 20 degrees)                |
| consistency_semantics    | ``semantics_consistency / 255``: 1 - Jensen-Shannon divergence as a share of its largest value    |
| depth_normal_agreement   | exp(-angle between the fused normals and those of the fused depth / 20 degrees)                   |
| consistency              | the geometric mean of those of the three ``consistency_*`` that there are                         |
| rotation_consistency_*   | ``*_rotation_consistency / 255`` of depth, normals, semantics: as above, between labellings       |
| rotation_consistency     | the geometric mean of these; with ``label.rotations`` only                                        |
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from geometry.consistency import angle_consistency
from geometry.depth import normals_from_erp_depth
from geometry.directions import erp_area_weights

Labels = Mapping[str, NDArray]
TASKS = ("depth", "normals", "semantics")
ROWS = 128
"""The agreement of depth and normals of a whole panorama is measured on a grid of about so many rows."""


def consistency_figures(labels: Labels) -> dict[str, float]:
    """The figures of the module's table that ERP labels (H, W[, 3]) of the stage ``fuse`` allow, rounded to four digits."""
    figures = _means(labels, "consistency") | _means(labels, "rotation_consistency")
    if "depth" in labels and "normals" in labels:
        agreement = area_mean(*depth_normal_agreement(*coarse(labels)))
        figures |= {} if agreement is None else {"depth_normal_agreement": agreement}
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


def area_mean(values: NDArray[np.floating], judged: NDArray[np.bool_]) -> float | None:
    """Mean of ``values`` (H, W) over the judged pixels (H, W), weighted by solid angle; None if there are none."""
    area = erp_area_weights(len(values))
    total = float(area @ judged.sum(axis=1))
    return float(area @ np.where(judged, values, 0).sum(axis=1, dtype=np.float64)) / total if total > 0 else None


def depth_normal_agreement(
    depth: NDArray[np.floating], depth_valid: NDArray[np.bool_], normals: NDArray[np.floating], normals_valid: NDArray[np.bool_]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Agreement (H, W) in 0..1 of world normals (H, W, 3) with those of the surface that distances (H, W) describe.

    Returns
    -------
    agreement : (H, W) float32
        exp(-angle / 20 degrees).
    judged : (H, W) bool
        Where both are valid, and the depth describes one surface there.
    """
    derived, smooth = normals_from_erp_depth(depth, depth_valid)
    apart = np.linalg.norm(derived - normals, axis=-1)
    angle = 2 * np.arcsin(np.clip(apart / 2, 0, 1)).astype(np.float32)
    return angle_consistency(angle), smooth & normals_valid


def coarse(labels: Labels, rows: int = ROWS) -> tuple[NDArray, ...]:
    """``depth``, ``depth_valid``, ``normals``, ``normals_valid`` at every n-th pixel, of at least so many rows if they have them.

    Pixels are picked, not averaged, so that no surface is mixed with another. Their grid lies at most half of a fine pixel off
    the centres of the coarse ones.
    """
    height = len(labels["depth"])
    step = max((n for n in range(1, height // rows + 1) if height % n == 0), default=1)
    picked = slice(step // 2, None, step)
    return tuple(labels[name][picked, picked] for name in ("depth", "depth_valid", "normals", "normals_valid"))
