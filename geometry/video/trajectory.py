"""Trajectories and scales: what takes one set of positions to another, and metres to what bearings alone tell."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]
SPREAD_OF_NORMAL = 1.4826
"""Standard deviation of a normal distribution, in median absolute deviations."""


@dataclass(frozen=True, eq=False)
class Similarity:
    """Takes points (..., 3) to ``scale`` * ``rotation`` (3, 3) points + ``shift`` (3,)."""

    scale: float
    rotation: Array
    shift: Array

    def __call__(self, points: Array) -> Array:
        """Points (..., 3), taken there."""
        return self.scale * (points @ self.rotation.T) + self.shift


def align(points: Array, reference: Array, with_scale: bool = True) -> Similarity:
    """The similarity that takes points (N, 3) nearest to a reference (N, 3) in the mean square (Umeyama, 1991).

    Parameters
    ----------
    points, reference : (N, 3), N >= 3
    with_scale : bool
        Without, a rigid motion, for trajectories that are metric already.

    Raises
    ------
    ValueError
        There are fewer than three points, or, with a scale, all are one.
    """
    if len(points) < 3 or points.shape != reference.shape:
        raise ValueError(f"an alignment needs two sets of three positions or more, got {points.shape} and {reference.shape}")
    centre, target = points.mean(axis=0), reference.mean(axis=0)
    own, other = points - centre, reference - target
    left, values, right = np.linalg.svd(other.T @ own / len(points))
    signs = np.array([1.0, 1.0, np.sign(np.linalg.det(left @ right))])
    rotation = left @ np.diag(signs) @ right
    spread = float((own**2).sum() / len(points))
    if with_scale and spread == 0:
        raise ValueError("all positions are one: they have no scale; align without one")
    scale = float((values * signs).sum() / spread) if with_scale else 1.0
    return Similarity(scale, rotation, target - scale * rotation @ centre)


def depth_scale(depth: Array, distance: Array, valid: NDArray[np.bool_] | None = None) -> tuple[float, float]:
    """What distances must be multiplied by to be those of a depth: exp of the median of log(depth / distance), and its spread.

    Parameters
    ----------
    depth, distance : (...)
        Of the same points, radial, such as a teacher's in metres and triangulated ones; what is not finite and positive does not
        count.
    valid : (...) bool, optional

    Returns
    -------
    scale : float
    spread : float
        Of the logarithm: a robust standard deviation, 0.1 being about 10 %. NaN, as the scale, where nothing counts.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.log(np.asarray(depth, np.float64)) - np.log(np.asarray(distance, np.float64))
    counts = np.isfinite(logs) if valid is None else np.isfinite(logs) & valid
    if not counts.any():
        return float("nan"), float("nan")
    middle = float(np.median(logs[counts]))
    return float(np.exp(middle)), SPREAD_OF_NORMAL * float(np.median(np.abs(logs[counts] - middle)))
