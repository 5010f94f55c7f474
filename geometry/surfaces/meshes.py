"""The surface that a panorama's distances describe, as triangles: closed over the seam and the poles, open where it is torn.

Laid flat, it is a *sheet* of ``(H + 2, W + 1)`` corners: a row of the upper pole, the rows of pixels, a row of the lower pole;
its last column is the first again. Textures need that, for a point of the seam has two places in the picture, and a pole has W.
:attr:`Mesh.points` says which corners are one point: by points, the surface closes.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geometry.directions import erp_directions
from geometry.surfaces.incidence import MAX_INCIDENCE, TOLERANCE, joined, tolerances, within_incidence

FloatArray = NDArray[np.float32]
BoolArray = NDArray[np.bool_]
Indices = NDArray[np.int32]


@dataclass(frozen=True)
class Mesh:
    """A surface of triangles that face the camera.

    ``corners`` (N, 3) float32: world frame about the camera, in the unit of the depth.
    ``places`` (N, 2) float32: where each lies in the picture, as shares of its width (beyond 1 right of the seam) and height.
    ``points`` (N,) int32: which corners are one point; pixel ``(i, j)`` is ``i W + j``, the poles are ``H W`` and ``H W + 1``.
    ``triangles`` (M, 3) int32: corners, counterclockwise as the camera sees them.
    """

    corners: FloatArray
    places: FloatArray
    points: Indices
    triangles: Indices

    def welded(self) -> tuple[FloatArray, Indices, Indices]:
        """The closed surface: points (P, 3), their numbers (P,) in rising order, and triangles (M, 3) of them."""
        numbers, first, again = np.unique(self.points, return_index=True, return_inverse=True)
        return self.corners[first], numbers, again.astype(np.int32)[self.triangles]


def panorama_mesh(
    depth: FloatArray, valid: BoolArray, max_incidence: float = MAX_INCIDENCE, tolerance: float = TOLERANCE
) -> Mesh:
    """The mesh of a panorama's distances: a point a pixel, and one a pole.

    Parameters
    ----------
    depth, valid, max_incidence, tolerance : as of :func:`geometry.surfaces.incidence.joined`
        At a right angle nothing is torn.

    Returns
    -------
    Mesh
        Of the corners in any triangle. A triangle is there if its two sides along a row and a column each join pixels of one
        surface. A pole closes if its row is valid all around, and is as far away as planes through that row are.
    """
    height, width = depth.shape
    right, down = joined(depth, valid, max_incidence, tolerance)
    distances = np.zeros((height + 2, width), np.float32)
    distances[1:-1] = np.where(valid & (depth > 0), depth, 0)
    sides = down.copy()  # each row of corners with the one above
    allowed = tolerances(depth, valid, tolerance)
    for end, beside in ((0, 1), (-1, -2)):
        distances[end] = _distance_of_pole(distances[beside], height)
        sides[end] = within_incidence(distances[end], distances[beside], np.pi / (2 * height), max_incidence, allowed[end])
    triangles = _triangles(distances, right, sides)
    used, numbered = np.unique(triangles, return_inverse=True)
    row, column = np.divmod(used, width + 1)
    pole = (row == 0) | (row == height + 1)
    across = (column + np.where(pole, 1, 0.5)) / width  # a pole's corner lies between the two columns of its triangle
    return Mesh(
        corners=_sheet(distances)[row, column % width],
        places=np.stack([across, np.clip((row - 0.5) / height, 0, 1)], axis=-1).astype(np.float32),
        points=np.where(pole, height * width + (row > 0), (row - 1) * width + column % width).astype(np.int32),
        triangles=numbered.reshape(-1, 3).astype(np.int32),
    )


def _distance_of_pole(row: FloatArray, height: int) -> float:
    """Of the first or the last row; 0 where that is not valid all around.

    The inverse distance of a plane is linear in the direction, and the mean of a row's directions is the pole's, shortened.
    """
    return float(np.cos(np.pi / (2 * height)) / np.mean(1 / row.astype(np.float64))) if (row > 0).all() else 0.0


def _sheet(distances: FloatArray) -> FloatArray:
    """Points (H + 2, W, 3) of poles and pixels."""
    points = np.zeros((*distances.shape, 3), np.float32)
    points[1:-1] = erp_directions(len(distances) - 2, distances.shape[1], np.float32)
    points[0, :, 1], points[-1, :, 1] = -1, 1  # y is down
    return points * distances[..., None]


def _triangles(distances: FloatArray, right: BoolArray, sides: BoolArray) -> Indices:
    """Triangles (M, 3) of the sheet's corners, counterclockwise as the camera sees them.

    Of the two diagonals of a quad the one along which inverse distances, linear on planes, differ less.
    """
    rows, width = distances.shape
    corner = np.arange(rows * (width + 1), dtype=np.int32).reshape(rows, width + 1)
    a, b, c, d = corner[:-1, :-1], corner[:-1, 1:], corner[1:, :-1], corner[1:, 1:]
    none = np.zeros((1, width), bool)  # a pole's row has no length
    above, below, left, beyond = np.vstack([none, right]), np.vstack([right, none]), sides, np.roll(sides, -1, axis=1)
    inverse = np.divide(1, distances, out=np.zeros_like(distances), where=distances > 0)
    following = np.roll(inverse, -1, axis=1)
    falling = np.abs(inverse[:-1] - following[1:]) <= np.abs(following[:-1] - inverse[1:])  # from a to d
    falling[0], falling[-1] = True, False  # at the poles a quad is one triangle: (a, c, d) or (a, c, b)
    kinds = (
        ((a, c, d), left & below & falling),
        ((a, d, b), above & beyond & falling),
        ((a, c, b), above & left & ~falling),
        ((b, c, d), below & beyond & ~falling),
    )
    return np.concatenate([np.stack([one[kept] for one in three], axis=-1) for three, kept in kinds])
