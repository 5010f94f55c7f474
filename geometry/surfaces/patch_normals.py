"""Surface normals from the depth of a perspective view; those of a panorama are in :mod:`geometry.surfaces.normals`."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geometry.cameras import Camera

MAX_INCIDENCE = float(np.radians(87))
"""A surface seen more obliquely than this is taken for a jump between two surfaces."""

FloatArray = NDArray[np.float32]
BoolArray = NDArray[np.bool_]


def normals_from_depth(
    depth: NDArray[np.floating], valid: BoolArray, camera: Camera, max_incidence: float = MAX_INCIDENCE
) -> tuple[FloatArray, BoolArray]:
    """Normals of the surface that a depth patch describes.

    Along each axis the neighbour at the more similar distance is used, so that normals stay clean up to an object's edge.

    Parameters
    ----------
    depth : (h, w) float, radial distance
    valid : (h, w) bool
    camera : Camera of the same size
    max_incidence : float
        Radians. Pixels whose both neighbours along an axis differ more than a surface this oblique would are invalid.

    Returns
    -------
    normals : (h, w, 3) float32
        Unit, camera frame, facing the camera; zero where invalid.
    valid : (h, w) bool
    """
    here = _Samples(camera.rays(), depth, valid & (depth > 0))
    padded = _Samples(
        np.pad(here.rays, ((1, 1), (1, 1), (0, 0)), mode="edge"), np.pad(here.depth, 1, mode="edge"), np.pad(here.valid, 1)
    )
    left, right = padded[1:-1, :-2], padded[1:-1, 2:]
    above, below = padded[:-2, 1:-1], padded[2:, 1:-1]
    along_row, row_valid = _tangent(here, left, right, max_incidence)
    along_column, column_valid = _tangent(here, above, below, max_incidence)
    normals = np.cross(along_row, along_column)
    normals *= -np.sign(np.einsum("hwc,hwc->hw", normals, here.rays))[..., None]
    length = np.linalg.norm(normals, axis=-1)
    known = here.valid & row_valid & column_valid & (length > 0)
    normals = np.where(known[..., None], normals / np.where(known, length, 1)[..., None], 0)
    return normals.astype(np.float32), known


@dataclass(frozen=True)
class _Samples:
    """Rays (h, w, 3) with the distance (h, w) and validity (h, w) of the surface along them."""

    rays: NDArray[np.floating]
    depth: NDArray[np.floating]
    valid: BoolArray

    def __getitem__(self, index: tuple | slice) -> "_Samples":
        return _Samples(self.rays[index], self.depth[index], self.valid[index])

    def points(self) -> NDArray[np.floating]:
        return self.rays * self.depth[..., None]


def _tangent(here: _Samples, before: _Samples, after: _Samples, max_incidence: float) -> tuple[NDArray[np.floating], BoolArray]:
    """Difference (h, w, 3) to the neighbour at the more similar distance, and whether it lies on the same surface."""
    slopes = _slope(here, before), _slope(here, after)
    forward = slopes[1] <= slopes[0]
    points = here.points()
    tangent = np.where(forward[..., None], after.points() - points, points - before.points())
    return tangent, np.minimum(*slopes) <= np.tan(max_incidence)


def _slope(one: _Samples, other: _Samples) -> NDArray[np.floating]:
    """Tangent of the incidence angle of a surface through both: change of log distance per radian; infinite where not valid."""
    both = one.valid & other.valid
    ratio = np.where(both, other.depth, 1) / np.where(both, one.depth, 1)
    angle = np.linalg.norm(other.rays - one.rays, axis=-1)
    return np.where(both, np.abs(np.log(ratio)) / np.where(both, angle, 1), np.inf)
