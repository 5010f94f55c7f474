"""Two views of a rigid scene on the sphere: the essential matrix of bearings, angles from it, and what it is made of.

Throughout, ``rotation`` (3, 3) takes the second camera's frame to the first one's, and ``position`` is where the second camera is
in the first one's frame, as a unit vector: bearings do not tell lengths. So ``first = rotation second + position`` up to
distances, and ``first . E second = 0`` with ``E = [position]x rotation``.

The eight-point method on unit vectors needs none of Hartley's normalisation: they are of one size already (Pagani and Stricker,
"Structure from Motion using full spherical panoramic cameras", 2011).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]
LEAST_POINTS = 8


def cross_matrix(vector: Array) -> Array:
    """The matrix (3, 3) whose product with w is the cross product of ``vector`` (3,) with w."""
    x, y, z = vector
    return np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]], np.float64)


def essential_of(rotation: Array, position: Array) -> Array:
    """The essential matrix (3, 3) of a pose."""
    return cross_matrix(position) @ rotation


def eight_point(first: Array, second: Array, weights: Array | None = None) -> Array:
    """The essential matrix (3, 3), of singular values 1, 1, 0, that fits bearings (N, 3) of one scene best.

    Parameters
    ----------
    first, second : (N, 3) unit, N >= 8
    weights : (N,), optional

    Raises
    ------
    ValueError
        There are fewer than eight.
    """
    if len(first) < LEAST_POINTS:
        raise ValueError(f"the essential matrix needs {LEAST_POINTS} pairs of bearings, got {len(first)}")
    rows = (first[:, :, None] * second[:, None, :]).reshape(len(first), 9)
    if weights is not None:
        rows = rows * np.sqrt(weights)[:, None]
    # Of the 9 x 9 normal matrix, which is fast for many points; bearings are well conditioned.
    smallest = np.linalg.eigh(rows.T @ rows)[1][:, 0]
    left, _, right = np.linalg.svd(smallest.reshape(3, 3))
    return left @ np.diag([1.0, 1.0, 0.0]) @ right


def epipolar_angles(essential: Array, first: Array, second: Array) -> Array:
    """Angle (N,) in radians of each pair from the epipolar plane of the other bearing: the larger of the two."""
    normal_first, normal_second = second @ essential.T, first @ essential
    aside = np.abs(np.sum(first * normal_first, axis=1))
    lengths = np.minimum(np.linalg.norm(normal_first, axis=1), np.linalg.norm(normal_second, axis=1))
    return np.arcsin(np.clip(aside / np.maximum(lengths, 1e-12), 0, 1))


def triangulate(first: Array, second: Array, rotation: Array, position: Array) -> tuple[Array, Array, Array]:
    """Distances along bearings (N, 3) of two cameras to where they come nearest to each other, and the angle between them.

    Returns
    -------
    from_first, from_second : (N,) float64
        In units of ``position``'s length; negative behind, where bearings part; infinite where they are parallel.
    parallax : (N,) float64
        Radians between the two rays.
    """
    turned = second @ rotation.T
    cosine = np.sum(first * turned, axis=1)
    sine = np.linalg.norm(np.cross(first, turned), axis=1)
    along_first, along_second = first @ position, turned @ position
    with np.errstate(divide="ignore", invalid="ignore"):
        from_first = (along_first - cosine * along_second) / sine**2
        from_second = (cosine * along_first - along_second) / sine**2
    parallel = sine < 1e-12
    return np.where(parallel, np.inf, from_first), np.where(parallel, np.inf, from_second), np.arctan2(sine, cosine)


def poses_of(essential: Array) -> list[tuple[Array, Array]]:
    """The four (rotation, position) that an essential matrix may be made of."""
    left, _, right = np.linalg.svd(essential)
    left, right = left * np.sign(np.linalg.det(left)), right * np.sign(np.linalg.det(right))
    quarter = np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])
    rotations = (left @ quarter @ right, left @ quarter.T @ right)
    return [(rotation, sign * left[:, 2]) for rotation in rotations for sign in (1.0, -1.0)]


def pose_in_front(essential: Array, first: Array, second: Array) -> tuple[Array, Array]:
    """Of the four poses, that for which most points lie ahead along both bearings (N, 3): rotation (3, 3), position (3,) unit.

    On the sphere "in front" means a positive distance, not a positive z. A point whose rays are nearly parallel says little, and
    counts by the sine of its parallax.
    """

    def ahead(pose: tuple[Array, Array]) -> float:
        from_first, from_second, parallax = triangulate(first, second, *pose)
        return float(np.sin(parallax)[(from_first > 0) & (from_second > 0)].sum())

    return max(poses_of(essential), key=ahead)
