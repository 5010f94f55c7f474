"""Gaussians to begin a 3D Gaussian splatting with, in the PLY of its first code (graphdeco-inria/gaussian-splatting), degree 0.

A flat disc on the surface for every point: as wide as the next point is far, thin along the normal; a ball where there is none.
World frame: x right, y down, z forward, as that of COLMAP's cameras.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from tasks.solids.ply import columns_of, ply
from tasks.solids.point_clouds import joint_cloud
from tasks.solids.scans import Scan

HARMONIC = 0.28209479177387814
"""The spherical harmonic of degree 0: a colour is 0.5 and as many times that as ``f_dc`` says."""
OPACITY = 0.9
THIN = 0.1
"""How thick a disc is, as a share of its width."""


def splats_as_ply(scans: Iterable[Scan]) -> tuple[bytes, dict[str, int]]:
    """A file of one Gaussian a point, and how many points."""
    cloud = joint_cloud(scans)
    count = len(cloud.points)
    normals = np.zeros((count, 3), np.float32) if cloud.normals is None else cloud.normals
    flat = np.linalg.norm(normals, axis=-1) > 0.5
    wide = np.log(np.maximum(cloud.spacing, 1e-6)).astype(np.float32)
    columns = columns_of(cloud.points, "xyz") | columns_of(normals, ("nx", "ny", "nz"))
    columns |= columns_of((cloud.colours / np.float32(255) - 0.5) / HARMONIC, ("f_dc_0", "f_dc_1", "f_dc_2"))
    columns |= {"opacity": np.full(count, np.log(OPACITY / (1 - OPACITY)))}
    columns |= {"scale_0": wide, "scale_1": wide, "scale_2": wide + np.where(flat, np.log(THIN), 0)}
    columns |= {f"rot_{number}": part for number, part in enumerate(_towards(normals, flat).T)}
    return ply({name: column.astype(np.float32) for name, column in columns.items()}), {"points": count}


def _towards(normals: NDArray[np.float32], flat: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Unit quaternions (N, 4), w first, that turn z to the normals (N, 3), and nothing where there is none."""
    x, y, z = normals.T
    opposite = z < -1 + 1e-6
    turns = np.stack(
        [np.where(opposite, 0, 1 + z), np.where(opposite, 1, -y), np.where(opposite, 0, x), np.zeros_like(x)], axis=-1
    )
    turns = np.where(flat[:, None], turns, (1, 0, 0, 0))
    return (turns / np.linalg.norm(turns, axis=-1, keepdims=True)).astype(np.float32)
