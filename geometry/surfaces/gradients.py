"""Gradients on the sphere: differences of an ERP image over steps of one length, whatever the latitude.

A step down spans the angle between two rows, and goes on over the poles. A step to the right takes as many columns as span that
angle at its latitude, a quarter turn at most: differences of direct neighbours would near the poles be divided by next to
nothing, and hold noise alone. Both steps are measured by their chord (the sine of the angle instead of the angle), which makes
the gradient of every linear function of the direction exact at any resolution.

At longitude ``theta`` and latitude ``phi``, right is ``(cos theta, 0, -sin theta)`` and down is ``(sin phi sin theta, cos phi,
sin phi cos theta)`` in the world frame.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from geometry.directions import erp_angles
from geometry.resampling.padding import sphere_rows

FloatArray = NDArray[np.floating]
Neighbours = tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any]]  # left, right, above, below


def sphere_neighbours(array: NDArray[Any]) -> Neighbours:
    """The values one step left of, right of, above and below every pixel.

    Parameters
    ----------
    array : (H, W) array of any dtype
        W must be even, so that a column lies half a turn away.

    Returns
    -------
    four (H, W) arrays of the same dtype
        To the left and right a step spans :func:`steps_right` columns.

    Raises
    ------
    ValueError
        If W is odd.
    """
    height, width = array.shape
    if width % 2:
        raise ValueError(f"an ERP image must have an even number of columns to go on over its poles, got {width}")
    left, right = np.empty_like(array), np.empty_like(array)
    steps = steps_right(height, width)
    for step in np.unique(steps):
        rows = steps == step
        left[rows], right[rows] = np.roll(array[rows], step, axis=1), np.roll(array[rows], -step, axis=1)
    beyond = sphere_rows(array, -1, height + 1, 0)
    return left, right, beyond[:-2], beyond[2:]


def steps_right(height: int, width: int) -> NDArray[np.intp]:
    """Columns (H,) that at each row's latitude come nearest to the angle between two rows; at least 1, at most a quarter turn."""
    wanted = (np.pi / height) / (2 * np.pi / width * np.cos(erp_angles(height, width)[1]))
    return np.clip(np.rint(wanted), 1, max(1, width // 4)).astype(np.intp)


def surrounded(observed: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Pixels (H, W) that are observed and whose four neighbours on the sphere are."""
    inside = observed.copy()
    for other in sphere_neighbours(observed):
        inside &= other
    return inside


def sphere_gradient(values: FloatArray, neighbours: Neighbours | None = None) -> FloatArray:
    """Gradient of an ERP image in the tangent plane of each pixel.

    Parameters
    ----------
    values : (H, W) float array
        Finite; W even.
    neighbours : what :func:`sphere_neighbours` gives for ``values``, optional

    Returns
    -------
    (H, W, 2) array of the same dtype
        Change per radian to the right (with rising longitude) and down (with falling latitude).
    """
    height, width = values.shape
    left, right, above, below = neighbours or sphere_neighbours(values)
    across = 2 * np.sin(steps_right(height, width) * (2 * np.pi / width)) * np.cos(erp_angles(height, width)[1])
    gradient = np.empty((height, width, 2), values.dtype)
    np.multiply(right - left, (1 / across).astype(values.dtype)[:, None], out=gradient[..., 0])
    np.multiply(below - above, values.dtype.type(0.5 / np.sin(np.pi / height)), out=gradient[..., 1])
    return gradient


def without_jumps(right: FloatArray, down: FloatArray, slope: float) -> tuple[FloatArray, FloatArray]:
    """Differences of neighbouring pixels, shrunk to nothing where they are much steeper than ``slope``, as only jumps are.

    Parameters
    ----------
    right : (H, W) array
        Difference of each pixel's right neighbour to itself.
    down : (H - 1, W) array
        Difference of the pixel below.
    slope : float
        Per radian; a difference of that slope is shrunk to a quarter.

    Returns
    -------
    right, down : arrays like those given
    """
    height, width = right.shape
    step_right = (2 * np.pi / width) * np.cos(erp_angles(height, width)[1])[:, None]
    return _shrunk(right, slope * step_right), _shrunk(down, slope * np.full((1, 1), np.pi / height))


def _shrunk(values: FloatArray, width: FloatArray) -> FloatArray:
    """Values times Geman-McClure's weights."""
    return values / (1 + (values / width.astype(values.dtype)) ** 2) ** 2
