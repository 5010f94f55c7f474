"""Maps of one frame as another frame's pixels see them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from geometry.directions import directions_to_erp
from geometry.resampling.padding import pad_sphere

Array = NDArray[np.floating]


def sampled_along(values: Array, bearings: Array) -> Array:
    """Values (...) float64 of an ERP map (H, W) along finite bearings (..., 3), linear between the centres of pixels.

    Round the seam and over the poles they go on as the sphere does. Next to a pixel that is NaN they are NaN: what is unknown
    does not bleed.
    """
    column, row = directions_to_erp(bearings, *values.shape)
    padded = pad_sphere(values.astype(np.float64), 1)
    left, top = (np.floor(one + 0.5).astype(np.intp) for one in (column, row))  # a centre has the fraction 0.5, padding adds 1
    right, down = column + 0.5 - left, row + 0.5 - top
    upper = padded[top, left] * (1 - right) + padded[top, left + 1] * right
    lower = padded[top + 1, left] * (1 - right) + padded[top + 1, left + 1] * right
    blended: Array = upper * (1 - down) + lower * down
    return blended
