"""Maps of one frame as another frame's pixels see them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from geometry.directions import directions_to_erp
from geometry.resampling.padding import pad_sphere

Array = NDArray[np.floating]


def sampled_along(values: Array, bearings: Array) -> Array:
    """Values (...) float64 of an ERP map (H, W) along bearings (..., 3), linear between the centres of pixels.

    Round the seam and over the poles they go on as the sphere does. Next to a pixel that is NaN they are NaN, so what is unknown
    does not bleed; along a bearing that is NaN too.
    """
    column, row = directions_to_erp(bearings, *values.shape)
    padded = pad_sphere(values.astype(np.float64), 1)
    column, row = column + 0.5, row + 0.5  # a pixel's centre has the fraction 0.5, and lies at 1 more where it is padded
    left, top = (np.floor(np.nan_to_num(one)).astype(np.intp) for one in (column, row))
    right, down = column - left, row - top
    upper = padded[top, left] * (1 - right) + padded[top, left + 1] * right
    lower = padded[top + 1, left] * (1 - right) + padded[top + 1, left + 1] * right
    blended: Array = upper * (1 - down) + lower * down
    return blended
