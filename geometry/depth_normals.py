"""Surfaces in a panorama's depth: where they tear, and which way they face.

The inverse distance of a plane is a linear function of the direction: ``n . p = -h`` has ``1 / r = -(n / h) . d``. So its
gradient on the sphere, which is exact for linear functions, gives the normals of planes exactly, at any resolution, over the
seam and at the poles; and its second differences vanish where a plane goes on, however obliquely it is seen.
"""

import numpy as np
from numpy.typing import NDArray

from geometry.directions import erp_directions
from geometry.gradients import sphere_gradient, sphere_neighbours, tangent_frame

FloatArray = NDArray[np.float32]
BoolArray = NDArray[np.bool_]


def normals_from_depth(depth: FloatArray, valid: BoolArray, depth_edge: float) -> tuple[FloatArray, BoolArray]:
    """Normals of the surface that a panorama's distances describe.

    Parameters
    ----------
    depth : (H, W) float32
        Radial distance, positive where ``valid``.
    valid : (H, W) bool
    depth_edge : float
        As in :func:`depth_edges`.

    Returns
    -------
    normals : (H, W, 3) float32
        Unit vectors in the world frame that face the camera; zero where not valid.
    valid : (H, W) bool
        Where the pixel and its four neighbours are valid and on one surface.
    """
    height, width = depth.shape
    inverse = inverse_distance(depth, valid)
    inside = valid & np.logical_and.reduce(sphere_neighbours(valid)) & ~_torn(inverse, depth_edge)
    gradient = sphere_gradient(inverse)
    right, down = tangent_frame(height, width)
    normals = erp_directions(height, width, np.float32)
    normals *= -inverse[..., None]
    normals -= gradient[..., :1] * right
    normals -= gradient[..., 1:] * down
    length = np.sqrt(np.einsum("hwc,hwc->hw", normals, normals))
    normals *= np.divide(1, length, out=np.zeros_like(length), where=inside)[..., None]
    return normals, inside


def depth_edges(depth: FloatArray, valid: BoolArray, depth_edge: float) -> BoolArray:
    """Pixels beside which the surface tears, on both sides of the tear.

    Parameters
    ----------
    depth, valid : (H, W)
    depth_edge : float
        Least step of inverse distance, and least change of it from step to step, that count as a tear: shares of the pixel's own.

    Returns
    -------
    (H, W) bool
        Only where the pixel and its four neighbours are valid.
    """
    return valid & np.logical_and.reduce(sphere_neighbours(valid)) & _torn(inverse_distance(depth, valid), depth_edge)


def inverse_distance(depth: FloatArray, valid: BoolArray) -> FloatArray:
    """One over the distance (H, W) float32, and 0 where not valid."""
    return np.divide(1, depth, out=np.zeros(depth.shape, np.float32), where=valid)


def _torn(inverse: FloatArray, depth_edge: float) -> BoolArray:
    """Where a step is large, and no slope explains it: a plane has steps as large, and two planes that meet have a small one."""
    left, right, above, below = sphere_neighbours(inverse)
    least = depth_edge * inverse
    torn = np.zeros(inverse.shape, bool)
    for before, after in ((left - inverse, right - inverse), (above - inverse, below - inverse)):
        torn |= (np.abs(before + after) > least) & (np.maximum(np.abs(before), np.abs(after)) > least)
    return torn
