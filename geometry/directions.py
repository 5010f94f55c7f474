"""ERP pixels, longitude and latitude, and unit directions: the one statement of the sphere convention.

The world frame is right-handed, x right, y down, z forward (OpenCV). The centre of an ERP image looks along +z.
Pixel (row i, column j) has its centre at ``i + 0.5, j + 0.5``; columns wrap, rows continue over the pole.
"""

import numpy as np
from numpy.typing import DTypeLike, NDArray

Array = NDArray[np.floating]


def erp_angles(height: int, width: int, dtype: DTypeLike = np.float64) -> tuple[Array, Array]:
    """Longitude of every column, shape (width,), and latitude of every row, shape (height,), of pixel centres, in radians."""
    longitude = ((np.arange(width, dtype=dtype) + 0.5) / width - 0.5) * (2 * np.pi)
    latitude = (0.5 - (np.arange(height, dtype=dtype) + 0.5) / height) * np.pi
    return longitude.astype(dtype), latitude.astype(dtype)


def angles_to_directions(longitude: Array, latitude: Array) -> Array:
    """Unit directions (..., 3) in the world frame of broadcastable longitudes and latitudes in radians."""
    longitude, latitude = np.broadcast_arrays(longitude, latitude)
    cos_latitude = np.cos(latitude)
    return np.stack([cos_latitude * np.sin(longitude), -np.sin(latitude), cos_latitude * np.cos(longitude)], axis=-1)


def directions_to_angles(directions: Array) -> tuple[Array, Array]:
    """Longitude in (-pi, pi] and latitude in [-pi/2, pi/2] of directions (..., 3) of any length but zero."""
    x, y, z = directions[..., 0], directions[..., 1], directions[..., 2]
    return np.arctan2(x, z), np.arctan2(-y, np.hypot(x, z))


def erp_directions(height: int, width: int, dtype: DTypeLike = np.float64) -> Array:
    """Unit directions (height, width, 3) of all pixel centres of an ERP image, world frame."""
    longitude, latitude = erp_angles(height, width, dtype)
    return angles_to_directions(longitude[None, :], latitude[:, None])


def directions_to_erp(directions: Array, height: int, width: int) -> tuple[Array, Array]:
    """Continuous ERP coordinates (column, row) of directions (..., 3).

    Column lies in (0, width], row in [0, height]; a pixel's centre has the fraction 0.5, so the index of the pixel that
    contains a direction is ``floor(column) % width, min(floor(row), height - 1)``.
    """
    longitude, latitude = directions_to_angles(directions)
    return (longitude / (2 * np.pi) + 0.5) * width, (0.5 - latitude / np.pi) * height


def erp_area_weights(height: int) -> Array:
    """cos(latitude) of every row, shape (height,): proportional to the solid angle of the row's pixels."""
    return np.cos(erp_angles(height, 1)[1])
