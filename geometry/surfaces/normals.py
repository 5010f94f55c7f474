"""Surfaces in a panorama's depth: where they tear, and which way they face.

The inverse distance of a plane is a linear function of the direction: ``n . p = -h`` has ``1 / r = -(n / h) . d``. So its
gradient on the sphere, which is exact for linear functions, gives the normals of planes exactly, at any resolution, over the
seam and at the poles; and its second differences vanish where a plane goes on, however obliquely it is seen.
"""

import numpy as np
from numpy.typing import NDArray

from geometry.directions import erp_angles
from geometry.surfaces.gradients import Neighbours, sphere_gradient, sphere_neighbours

FloatArray = NDArray[np.float32]
BoolArray = NDArray[np.bool_]


def normals_from_depth(depth: FloatArray, valid: BoolArray, depth_edge: float) -> tuple[FloatArray, BoolArray]:
    """Normals of the surface that a panorama's distances describe.

    Parameters
    ----------
    depth : (H, W) float32
        Radial distance; what is not positive counts as not valid.
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
    longitude, latitude = (angles.astype(np.float32) for angles in erp_angles(height, width))
    inverse = _inverse_distance(depth, valid)
    neighbours = sphere_neighbours(inverse)
    inside = _surrounded(inverse, neighbours) & ~_torn(inverse, neighbours, depth_edge)
    right, down = np.moveaxis(sphere_gradient(inverse, neighbours), -1, 0)
    length = np.sqrt(inverse * inverse + right * right + down * down)
    scale = np.divide(-1, length, out=np.zeros_like(length), where=inside)
    sine, cosine = np.sin(latitude)[:, None], np.cos(latitude)[:, None]
    level = (inverse * cosine + down * sine) * scale  # towards the horizon below or above the pixel
    right = right * scale
    normals = np.empty((height, width, 3), np.float32)
    normals[..., 0] = level * np.sin(longitude) + right * np.cos(longitude)
    normals[..., 1] = (down * cosine - inverse * sine) * scale
    normals[..., 2] = level * np.cos(longitude) - right * np.sin(longitude)
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
    inverse = _inverse_distance(depth, valid)
    neighbours = sphere_neighbours(inverse)
    return _surrounded(inverse, neighbours) & _torn(inverse, neighbours, depth_edge)


def _inverse_distance(depth: FloatArray, valid: BoolArray) -> FloatArray:
    """One over the distance, and 0 where it is not valid or not positive."""
    return np.divide(1, depth, out=np.zeros(depth.shape, np.float32), where=valid & (depth > 0))


def _surrounded(inverse: FloatArray, neighbours: Neighbours) -> BoolArray:
    """Where the pixel and its neighbours are valid."""
    inside = inverse > 0
    for other in neighbours:
        inside &= other > 0
    return inside


def _torn(inverse: FloatArray, neighbours: Neighbours, depth_edge: float) -> BoolArray:
    """Where a step is large, and no slope explains it: a plane has steps as large, and two planes that meet have a small one."""
    left, right, above, below = neighbours
    least = depth_edge * inverse
    torn = np.zeros(inverse.shape, bool)
    for before, after in ((left - inverse, right - inverse), (above - inverse, below - inverse)):
        torn |= (np.abs(before + after) > least) & (np.maximum(np.abs(before), np.abs(after)) > least)
    return torn
