"""Screened Poisson equation on the sphere, solved directly: the field whose differences are nearest to those asked for.

Pixels of an ERP image are cells of a finite-volume grid. A horizontal neighbour lies ``cos(latitude)`` times nearer than at
the equator across a face of constant length; a vertical neighbour lies at a constant distance across a face that shrinks with
``cos(latitude)`` and is a point at the pole. Columns wrap. Cells of the first and last row meet in the pole, across no face:
they are joined around it, by faces between points that lie very near to each other, so poles need no special case.

The operator does not depend on the column, so a Fourier transform along the rows leaves one tridiagonal system of H unknowns
per frequency. That is exact, takes no iteration, and costs two transforms and one sweep down and up the rows.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from geometry.directions import erp_angles
from geometry.threads import WORKERS

Array = NDArray[np.floating]


def solve_screened_poisson(right: Array, down: Array, data: Array, screen: float) -> Array:
    """Minimise ``sum m (difference of u - asked difference)^2 + screen sum a (u - data)^2`` over fields u on the sphere.

    Parameters
    ----------
    right : (H, W) array
        Asked difference of each pixel's right neighbour (the last column's is the first) to itself.
    down : (H - 1, W) array
        Asked difference of the pixel below to each pixel.
    data : (H, W) array
        Values that u is drawn to.
    screen : float
        Weight of the data per steradian, positive. Differences decide below an angle of about ``1 / sqrt(screen)`` radians,
        the data above it.

    Returns
    -------
    (H, W) float64
        m is the length of the face between two pixels over their distance, and a the pixel's solid angle.

    Raises
    ------
    ValueError
        If the shapes do not belong together, or ``screen`` is not a positive number.
    """
    height, width = data.shape
    if right.shape != (height, width) or down.shape != (height - 1, width):
        raise ValueError(
            f"right and down must be {(height, width)} and {(height - 1, width)}, got {right.shape} and {down.shape}"
        )
    if not (np.isfinite(screen) and screen > 0):
        raise ValueError(f"screen must be a positive number, got {screen}")
    across, along, area = cell_metric(height, width)
    source = (screen * area)[:, None] * data
    flow = across[:, None] * right
    source -= flow
    source[:, 1:] += flow[:, :-1]
    source[:, 0] += flow[:, -1]
    flow = along[:, None] * down
    source[:-1] -= flow
    source[1:] += flow
    return _solve(source, float(screen))


def cell_metric(height: int, width: int) -> tuple[Array, Array, Array]:
    """Per row, the weight m of differences to the right (H,), of those to the row below (H - 1,), and the solid angle (H,)."""
    step_down, step_right = np.pi / height, 2 * np.pi / width
    latitude = erp_angles(height, width)[1]
    border = latitude[:-1] - step_down / 2
    across = step_down / (np.cos(latitude) * step_right)
    along = np.cos(border) * step_right / step_down
    area = 2 * np.sin(step_down / 2) * np.cos(latitude) * step_right
    return across, along, area


def _solve(source: Array, screen: float) -> Array:
    """The field u (H, W) whose outflow plus ``screen`` times area times u is ``source``."""
    from scipy import fft  # slow to load, which plans need not spend

    height, width = source.shape
    along = cell_metric(height, width)[1]
    inverse = _inverse_pivots(height, width, screen)
    spectrum = fft.rfft(source, axis=1, workers=WORKERS)
    for row in range(height):  # Thomas' algorithm, all frequencies at once
        if row > 0:
            spectrum[row] += along[row - 1] * spectrum[row - 1]
        spectrum[row] *= inverse[row]
    for row in range(height - 2, -1, -1):
        spectrum[row] += (along[row] * inverse[row]) * spectrum[row + 1]
    return np.asarray(fft.irfft(spectrum, n=width, axis=1, overwrite_x=True, workers=WORKERS))


@lru_cache(maxsize=4)
def _inverse_pivots(height: int, width: int, screen: float) -> Array:
    """Inverse pivots (H, W // 2 + 1) of the tridiagonal matrices of all frequencies."""
    across, along, area = cell_metric(height, width)
    curvature = 4 * np.sin(np.pi * np.arange(width // 2 + 1) / width) ** 2
    inverse = np.empty((height, len(curvature)))
    # The pivot less what flows to the row below is kept apart: subtracting it from the diagonal would cancel digits.
    own = across[0] * curvature + screen * area[0]
    for row in range(height - 1):
        pivot = own + along[row]
        inverse[row] = 1 / pivot
        own = across[row + 1] * curvature + screen * area[row + 1] + along[row] * (own * inverse[row])
    inverse[-1] = 1 / own
    inverse.setflags(write=False)  # shared by all who ask
    return inverse
