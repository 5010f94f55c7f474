"""Where the pixels of a view lie in an ERP image."""

import numpy as np
from numpy.typing import NDArray

from geometry.directions import directions_to_erp
from geometry.spheres import UNTURNED, Sphere, View

FloatArray = NDArray[np.float32]


def erp_coordinates(camera: View, height: int, width: int) -> tuple[FloatArray, FloatArray]:
    """Continuous ERP coordinates (column, row), each (h, w) float32, of all pixel centres of a patch.

    The same as ``directions_to_erp(camera.directions(), height, width)`` within 0.01 pixel on the sphere, and faster.
    """
    if isinstance(camera, Sphere):
        return _from_sphere(camera, height, width)
    matrix = camera.matrix / camera.focal
    x = np.arange(camera.width) + 0.5 - camera.width / 2
    y = np.arange(camera.height) + 0.5 - camera.height / 2
    across = (matrix[:, :1] * x).astype(np.float32)
    down = (matrix[:, 1:2] * y + matrix[:, 2:] * camera.focal).astype(np.float32)
    right, below, ahead = across[:, None, :] + down[:, :, None]
    column = np.arctan2(right, ahead)
    column *= np.float32(width / (2 * np.pi))
    column += np.float32(width / 2)
    row = np.arctan2(below, np.sqrt(right * right + ahead * ahead))
    row *= np.float32(height / np.pi)
    row += np.float32(height / 2)
    return column, row


def _from_sphere(sphere: Sphere, height: int, width: int) -> tuple[FloatArray, FloatArray]:
    """Of one that is not turned each pixel is its own, exactly, where sizes agree."""
    if sphere.rotation != UNTURNED:
        column, row = directions_to_erp(sphere.directions(), height, width)
        return column.astype(np.float32), row.astype(np.float32)
    across = (np.arange(sphere.width) + 0.5) * (width / sphere.width)
    down = (np.arange(sphere.height) + 0.5) * (height / sphere.height)
    column, row = np.meshgrid(across.astype(np.float32), down.astype(np.float32))
    return column, row
