"""Do depth and normals of one panorama describe the same surfaces? Needs no truth."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from geometry.depth_normals import normals_from_depth
from metrics.weights import row_weights

THRESHOLDS = {"11_25": 11.25, "22_5": 22.5, "30": 30.0}


def depth_normal_figures(labels: Mapping[str, NDArray], depth_edge: float) -> dict[str, float]:
    """Angle between the normals of the depth's surfaces and the normals told, weighted by solid angle.

    Parameters
    ----------
    labels : ERP arrays as the stage ``fuse`` makes them
        ``depth`` (H, W) float32 and ``normals`` (H, W, 3) float32, world frame, each with its mask ``..._valid``.
    depth_edge : float
        As in :func:`geometry.depth_normals.depth_edges`; beside an edge nothing is compared.

    Returns
    -------
    dict
        ``depth_normal_degrees``, their mean, and ``depth_normal_within_11_25``, ``..._22_5`` and ``..._30``, shares (strict).
        Empty where depth or normals are missing, or no pixel has both.
    """
    if not {"depth", "normals"} <= labels.keys():
        return {}
    faces, seen = normals_from_depth(labels["depth"], labels["depth_valid"], depth_edge)
    seen &= labels["normals_valid"]
    if not seen.any():
        return {}
    cosine = np.einsum("hwc,hwc->hw", faces, labels["normals"])[seen]
    angle = np.degrees(np.arccos(np.clip(cosine, -1, 1)))  # float32: right to 0.03 degrees where it is worst, near zero
    weights = np.broadcast_to(row_weights(len(seen), True)[:, None], seen.shape)[seen]
    shares = {name: float(np.average(angle < limit, weights=weights)) for name, limit in THRESHOLDS.items()}
    figures = {f"depth_normal_within_{name}": share for name, share in shares.items()}
    return {"depth_normal_degrees": float(np.average(angle, weights=weights)), **figures}
