"""Make a panorama's depth agree with its normals: a smooth correction from the slopes that the normals ask for.

On a plane with the normal n the distances along d and d' are as ``n . d'`` to ``n . d``: a normal says how log distance changes
from pixel to pixel, whatever the distance. What it says, less what the depth does, is the slope of the correction; integrated
over the sphere, and drawn to zero, it takes slow errors out of the depth and leaves its scale alone.

Normals know nothing of jumps. Across depth edges nothing is asked, and where the difference is steeper than any slow error it
is a jump too small to be seen as an edge, and soon has no say. Surfaces seen obliquely, where a small error of the normal is a
large one of the slope, have little say, and so have pixels on whose normals the views disagree.
"""

import numpy as np
from numpy.typing import NDArray

from geometry.directions import erp_directions
from geometry.surfaces.gradients import without_jumps
from geometry.surfaces.normals import depth_edges
from geometry.surfaces.poisson import solve_screened_poisson

FloatArray = NDArray[np.float32]
BoolArray = NDArray[np.bool_]
SCREEN = 1.0  # per steradian: views' biases are no wider than a view, and an error of the normals must not add up farther
SLOPE = 0.8  # per radian: a difference steeper than that is taken for a jump
LEAST_FACING = 0.15  # cosine between surface and line of sight, below which a normal says nothing of the slope
AGREEMENT_POWER = 16  # e-fold less trust where the views' normals spread by 20 degrees


def normal_correction(
    depth: FloatArray, valid: BoolArray, normals: FloatArray, agreement: FloatArray, depth_edge: float
) -> FloatArray:
    """Factor by which to multiply a depth so that its surfaces face as the normals say.

    Parameters
    ----------
    depth : (H, W) float32
        Radial distance, positive where ``valid``.
    valid : (H, W) bool
    normals : (H, W, 3) float32
        Unit vectors in the world frame; zero where there is none.
    agreement : (H, W) float32
        Length of the mean of the views' normals, in [0, 1].
    depth_edge : float
        As in :func:`geometry.surfaces.normals.depth_edges`.

    Returns
    -------
    (H, W) float32
        The area-weighted mean of its logarithm is zero.
    """
    height, width = depth.shape
    directions = erp_directions(height, width, np.float32)
    facing = -np.einsum("hwc,hwc->hw", normals, directions)
    told = valid & (facing > LEAST_FACING) & ~depth_edges(depth, valid, depth_edge)
    log = np.log(np.where(valid, depth, 1), dtype=np.float32)
    here = (normals, directions, facing, log, told, facing * agreement**AGREEMENT_POWER)
    right = _asked(here, tuple(np.roll(one, -1, axis=1) for one in here))
    down = _asked(tuple(one[:-1] for one in here), tuple(one[1:] for one in here))
    correction = solve_screened_poisson(*without_jumps(right, down, SLOPE), np.zeros_like(log), SCREEN)
    return np.exp(correction).astype(np.float32)


def _asked(one: tuple[NDArray, ...], other: tuple[NDArray, ...]) -> FloatArray:
    """What the normals of two pixels say of the step from one to the other, less the depth's step; shrunk by little trust."""
    normals, directions, facing, log, told, trust = one
    normals_there, directions_there, facing_there, log_there, told_there, trust_there = other
    ahead = -np.einsum("hwc,hwc->hw", normals, directions_there)
    behind = -np.einsum("hwc,hwc->hw", normals_there, directions)
    inside = told & told_there & (ahead > LEAST_FACING / 2) & (behind > LEAST_FACING / 2)
    ratio = np.divide(facing * behind, ahead * facing_there, out=np.ones_like(log), where=inside)
    step = 0.5 * np.log(np.where(inside, ratio, 1)) - (log_there - log)
    return np.where(inside, step * np.minimum(trust, trust_there), 0).astype(np.float32)
