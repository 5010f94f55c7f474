"""Gradients on the sphere: differences of an ERP image over steps of one length, whatever the latitude.

A step down spans the angle between two rows, and goes on over the poles. A step to the right takes as many columns as span that
angle at its latitude, a quarter turn at most: differences of direct neighbours would near the poles be divided by next to
nothing, and hold noise alone. Both steps are measured by their chord (the sine of the angle instead of the angle), which makes
the gradient of every linear function of the direction exact at any resolution.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from geometry.directions import erp_angles
from geometry.padding import sphere_rows

FloatArray = NDArray[np.floating]


def sphere_neighbours(array: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any]]:
    """The values one step left of, right of, above and below every pixel.

    Parameters
    ----------
    array : (H, W) array of any dtype
        W must be even, so that a column lies half a turn away.

    Returns
    -------
    four (H, W) arrays of the same dtype
        Left and right of a pixel the first step spans :func:`steps_right` columns.

    Raises
    ------
    ValueError
        If W is odd.
    """
    height, width = array.shape
    if width % 2:
        raise ValueError(f"an ERP image must have an even number of columns to go on over its poles, got {width}")
    steps = steps_right(height, width)[:, None]
    columns = np.arange(width)
    left = np.take_along_axis(array, (columns - steps) % width, axis=1)
    right = np.take_along_axis(array, (columns + steps) % width, axis=1)
    rows = sphere_rows(array, -1, height + 1, 0)
    return left, right, rows[:-2], rows[2:]


def steps_right(height: int, width: int) -> NDArray[np.intp]:
    """Columns (H,) that at each row's latitude come nearest to the angle between two rows; at least 1, at most a quarter turn."""
    wanted = (np.pi / height) / (2 * np.pi / width * np.cos(erp_angles(height, width)[1]))
    return np.clip(np.rint(wanted), 1, max(1, width // 4)).astype(np.intp)


def sphere_gradient(values: FloatArray) -> FloatArray:
    """Gradient of an ERP image in the tangent plane of each pixel.

    Parameters
    ----------
    values : (H, W) float array
        Finite; W even.

    Returns
    -------
    (H, W, 2) array of the same dtype
        Change per radian to the right (rising longitude, see :func:`tangent_frame`) and down (falling latitude).
    """
    height, width = values.shape
    left, right, above, below = sphere_neighbours(values)
    cosine = np.cos(erp_angles(height, width)[1])
    across = 2 * np.sin(steps_right(height, width) * (2 * np.pi / width)) * cosine
    gradient = np.empty((height, width, 2), values.dtype)
    np.multiply(right - left, (1 / across).astype(values.dtype)[:, None], out=gradient[..., 0])
    np.multiply(below - above, values.dtype.type(0.5 / np.sin(np.pi / height)), out=gradient[..., 1])
    return gradient


def tangent_frame(height: int, width: int) -> tuple[FloatArray, FloatArray]:
    """Unit vectors to the right, (W, 3), the same in all rows, and down, (H, W, 3), of every pixel, float32, world frame."""
    longitude, latitude = (angles.astype(np.float32) for angles in erp_angles(height, width))
    sine, cosine = np.sin(longitude), np.cos(longitude)
    right = np.stack([cosine, np.zeros_like(sine), -sine], axis=-1)
    rise, level = np.sin(latitude)[:, None], np.cos(latitude)[:, None]
    down = np.stack([rise * sine, np.broadcast_to(level, (height, width)), rise * cosine], axis=-1)
    return right, down
