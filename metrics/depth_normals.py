"""Do depth and normals of one panorama describe the same surfaces? Needs no truth."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from geometry.fusion.consistency import angle_consistency
from geometry.surfaces.normals import normals_from_depth
from metrics.weights import area_mean

DEPTH_EDGE = 0.1
"""Where no config says, the least relative step of distance that counts as a tear."""
THRESHOLDS = {"11_25": 11.25, "22_5": 22.5, "30": 30.0}


def depth_normal_angles(
    labels: Mapping[str, NDArray], depth_edge: float = DEPTH_EDGE
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Angle between the normals of the depth's surfaces and the normals told.

    Parameters
    ----------
    labels : ERP arrays as the stage ``fuse`` makes them
        ``depth`` (H, W) float32 and ``normals`` (H, W, 3) float32, world frame, each with its mask ``..._valid``.
    depth_edge : float
        As in :func:`geometry.surfaces.normals.depth_edges`; beside an edge nothing is compared.

    Returns
    -------
    angles : (H, W) float32
        Radians, right to 0.0005 where it is worst, near zero; 0 where nothing is compared.
    compared : (H, W) bool
        Where both are valid, and the depth describes one surface.
    """
    faces, compared = normals_from_depth(labels["depth"], labels["depth_valid"], depth_edge)
    compared &= labels["normals_valid"]
    cosine = np.einsum("hwc,hwc->hw", faces, labels["normals"])
    return np.arccos(np.clip(cosine, -1, 1), out=np.zeros_like(cosine), where=compared), compared


def depth_normal_figures(labels: Mapping[str, NDArray], depth_edge: float = DEPTH_EDGE) -> dict[str, float]:
    """How far the depth's surfaces face as the normals tell, weighted by solid angle.

    Parameters
    ----------
    labels, depth_edge : as in :func:`depth_normal_angles`; depth or normals may be missing

    Returns
    -------
    dict
        ``depth_normal_degrees``, the mean angle; ``depth_normal_within_11_25``, ``..._22_5`` and ``..._30``, shares (strict);
        ``depth_normal_agreement``, the mean of exp(-angle / 20 degrees). Empty where depth or normals are missing, or no pixel
        has both.
    """
    if not {"depth", "normals"} <= labels.keys():
        return {}
    angles, compared = depth_normal_angles(labels, depth_edge)
    degrees = np.degrees(angles)
    measures = {
        "depth_normal_degrees": degrees,
        **{f"depth_normal_within_{name}": degrees < limit for name, limit in THRESHOLDS.items()},
        "depth_normal_agreement": angle_consistency(angles),
    }
    means = {name: area_mean(values, compared) for name, values in measures.items()}
    return {name: mean for name, mean in means.items() if mean is not None}
