"""Angle from every direction to the nearest edge, exactly, without searching the sphere.

The haversine (squared sine of half the angle) between two pixels is ``hav(phi - phi') + cos phi cos phi' hav(theta - theta')``.
So of a row's edges only the nearest in longitude counts, and the minimum over the sphere is one over the rows within the limit.
Longitudes wrap, and the formula holds over the poles.
"""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from geometry.directions import erp_angles
from geometry.surfaces.gradients import sphere_neighbours
from geometry.threads import WORKERS

FloatArray = NDArray[np.float32]
BoolArray = NDArray[np.bool_]
COLUMNS = 128  # worked on together: small enough to stay in a core's cache


def edge_distance(edges: BoolArray, limit: float) -> FloatArray:
    """Great-circle angle from each pixel's centre to the nearest edge pixel's centre.

    Parameters
    ----------
    edges : (H, W) bool
    limit : float
        Largest angle told, in radians, in (0, pi].

    Returns
    -------
    (H, W) float32
        Radians; 0 on edges, ``limit`` where there is none within it.

    Raises
    ------
    ValueError
        If ``limit`` is outside its range.
    """
    if not 0 < limit <= np.pi:
        raise ValueError(f"limit must lie in (0, pi] radians, got {limit}")
    height, width = edges.shape
    cosine = np.cos(erp_angles(height, width)[1]).astype(np.float32)[:, None]
    away = np.float32(np.pi / width) * _columns_to_edge(edges)
    beside = cosine * np.sin(away, out=away) ** 2
    beside[~edges.any(axis=1)] = np.inf
    found = np.empty((height, width), np.float32)
    rows_away = np.arange(min(height, int(limit / (np.pi / height)) + 1))
    above = (np.sin(rows_away * (np.pi / height / 2)) ** 2).astype(np.float32)

    def search(start: int) -> None:
        columns = slice(start, start + COLUMNS)
        found[:, columns] = _over_rows(np.ascontiguousarray(beside[:, columns]), cosine, above)

    with ThreadPoolExecutor(WORKERS) as pool:
        list(pool.map(search, range(0, width, COLUMNS)))
    return np.minimum(2 * np.arcsin(np.sqrt(np.minimum(found, 1))), np.float32(limit))


def label_edges(labels: NDArray[np.integer] | BoolArray, valid: BoolArray) -> BoolArray:
    """Pixels (H, W) one step beside which another label begins; where either is not valid there is none."""
    found = np.zeros(labels.shape, bool)
    for other, known in zip(sphere_neighbours(labels), sphere_neighbours(valid)):
        found |= known & (other != labels)
    return found & valid


def _columns_to_edge(edges: BoolArray) -> FloatArray:
    """Columns (H, W) float32 to the nearest edge of the same row, around the seam; anything in rows without one."""
    width = edges.shape[1]
    twice = np.concatenate([edges, edges], axis=1)
    place = np.where(twice, np.arange(2 * width, dtype=np.int32), -2 * width)
    before = (np.arange(2 * width) - np.maximum.accumulate(place, axis=1))[:, width:]
    place = np.where(twice, np.arange(2 * width, dtype=np.int32), 4 * width)
    after = (np.minimum.accumulate(place[:, ::-1], axis=1)[:, ::-1] - np.arange(2 * width))[:, :width]
    return np.minimum(before, after).astype(np.float32)


def _over_rows(beside: FloatArray, cosine: FloatArray, above: FloatArray) -> FloatArray:
    """Haversine of the angle to the nearest edge, over rows as far away as ``above`` (haversines too) reaches."""
    height = len(beside)
    best = cosine * beside
    room = np.empty_like(best)
    for away, rise in enumerate(above[1:], 1):
        upper, lower, part = slice(0, height - away), slice(away, height), room[: height - away]
        for here, there in ((upper, lower), (lower, upper)):
            np.multiply(beside[there], cosine[here], out=part)
            part += rise
            np.minimum(best[here], part, out=best[here])
    return best
