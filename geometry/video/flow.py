"""Motion on the sphere: ERP flow in pixels, bearings, and tangent vectors; no seam and no pole among the last two.

A bearing is a unit vector in the camera's frame. Flow of an ERP image is (column, row) in pixels, from a pixel's centre.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from geometry.directions import angles_to_directions, directions_to_erp, erp_directions

Array = NDArray[np.floating]
SMALLEST = 1e-12


def erp_to_bearings(column: Array, row: Array, height: int, width: int) -> Array:
    """Bearings (..., 3) of continuous ERP coordinates (...), a pixel's centre having the fraction 0.5.

    Columns wrap; rows beyond a pole go on half a turn away, as the sphere does. The inverse of ``directions_to_erp``.
    """
    longitude = (np.asarray(column, np.float64) / width - 0.5) * 2 * np.pi
    latitude = (0.5 - np.asarray(row, np.float64) / height) * np.pi
    return angles_to_directions(longitude, latitude)


def flow_to_bearings(flow: Array) -> Array:
    """Where every pixel's content goes, (H, W, 3) float64 bearings, of ERP flow (H, W, 2) in pixels."""
    height, width = flow.shape[:2]
    column, row = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    return erp_to_bearings(column + flow[..., 0], row + flow[..., 1], height, width)


def bearings_to_flow(bearings: Array) -> Array:
    """ERP flow (H, W, 2) float64 in pixels from every pixel's centre to a bearing (H, W, 3), the short way round the seam."""
    height, width = bearings.shape[:2]
    column, row = directions_to_erp(bearings, height, width)
    across = column - (np.arange(width) + 0.5)
    across -= width * np.round(across / width)
    return np.stack([across, row - (np.arange(height) + 0.5)[:, None]], axis=-1)


def angles_between(first: Array, second: Array) -> Array:
    """Angles (...) in radians between bearings (..., 3); exact for small ones too, which the inverse cosine is not."""
    return 2 * np.arctan2(np.linalg.norm(first - second, axis=-1), np.linalg.norm(first + second, axis=-1))


def tangent_axes(bearings: Array) -> tuple[Array, Array]:
    """Unit vectors (..., 3) at bearings (..., 3) towards greater longitude (east) and towards +y (down).

    At a pole, where there is no east, it is that of longitude 0.
    """
    x, y, z = bearings[..., 0], bearings[..., 1], bearings[..., 2]
    radius = np.hypot(x, z)
    at_pole = radius < SMALLEST
    safe = np.where(at_pole, 1.0, radius)
    sine, cosine = np.where(at_pole, 0.0, x / safe), np.where(at_pole, 1.0, z / safe)
    east = np.stack([cosine, np.zeros_like(y), -sine], axis=-1)
    down = np.stack([-y * sine, radius, -y * cosine], axis=-1)
    return east, down / np.linalg.norm(down, axis=-1, keepdims=True)


def tangent_flow(start: Array, end: Array) -> Array:
    """Motion (..., 2) in radians, (east, down) along the great circle from ``start`` to ``end`` (..., 3): the logarithm there.

    What goes to the opposite point has no direction; its motion is NaN.
    """
    along = end - np.sum(start * end, axis=-1, keepdims=True) * start
    length = np.linalg.norm(along, axis=-1, keepdims=True)
    angle = angles_between(start, end)[..., None]
    scaled = np.where(length > SMALLEST, along * (angle / np.maximum(length, SMALLEST)), np.where(angle > 1, np.nan, along))
    east, down = tangent_axes(start)
    return np.stack([np.sum(scaled * east, axis=-1), np.sum(scaled * down, axis=-1)], axis=-1)


def moved_along(start: Array, motion: Array) -> Array:
    """Bearings (..., 3) that a motion (..., 2) in radians, (east, down), leads to from ``start``: the inverse of tangent_flow."""
    east, down = tangent_axes(start)
    along = motion[..., :1] * east + motion[..., 1:] * down
    angle = np.linalg.norm(along, axis=-1, keepdims=True)
    return np.cos(angle) * start + np.sinc(angle / np.pi) * along


def rigid_bearings(depth: Array, rotation: Array, position: Array) -> tuple[Array, Array]:
    """Where a second camera sees what a first one sees, if nothing moves.

    Parameters
    ----------
    depth : (H, W)
        Radial distance from the first camera, in the units of ``position``.
    rotation : (3, 3)
        Second camera to first camera.
    position : (3,)
        Of the second camera, in the first one's frame.

    Returns
    -------
    bearings : (H, W, 3) float64, in the second camera's frame
    distance : (H, W) float64, radial, from the second camera
    """
    away = (depth[..., None] * erp_directions(*depth.shape) - position) @ rotation
    distance = np.linalg.norm(away, axis=-1)
    return away / np.maximum(distance, SMALLEST)[..., None], distance
