"""A view of the whole sphere: an equirectangular image that may be turned. What sees a panorama at once speaks through it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from geometry.cameras import Array, Camera, refuse_no_rotation, to_world
from geometry.directions import directions_to_erp, erp_directions

UNTURNED = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)


@dataclass(frozen=True)
class Sphere:
    """An equirectangular image of all directions. Hashable, and used wherever a :class:`~geometry.cameras.Camera` is.

    It has no optical axis: depth in it is radial, and no pixel lies further off than others.

    Parameters
    ----------
    width, height : int
        Size in pixels, twice as wide as high. Pixel (i, j) has its centre at ``(j + 0.5, i + 0.5)``; columns wrap.
    rotation : tuple of 9 floats
        From the image's own frame to the world, row by row: the image's centre looks along ``matrix[:, 2]``.
    """

    width: int
    height: int
    rotation: tuple[float, ...] = UNTURNED

    def __post_init__(self) -> None:
        if self.height < 1 or self.width != 2 * self.height:
            raise ValueError(f"a view of the whole sphere must be twice as wide as high, got {self.width}x{self.height}")
        refuse_no_rotation(self.rotation)

    @classmethod
    def from_matrix(cls, height: int, matrix: ArrayLike) -> Sphere:
        """The sphere in ``height`` rows, turned by the rotation ``matrix`` (3, 3) from its own frame to the world."""
        return cls(2 * int(height), int(height), tuple(float(value) for value in np.asarray(matrix).reshape(9)))

    @property
    def matrix(self) -> Array:
        """Rotation (3, 3) from the image's frame to the world, float64."""
        return np.array(self.rotation, dtype=np.float64).reshape(3, 3)

    @property
    def fov(self) -> float:
        """All around, in radians; no camera's field of view reaches half of it."""
        return 2 * float(np.pi)

    @property
    def focal(self) -> float:
        """Pixels per radian along the equator: what a camera's focal length is at its axis."""
        return self.width / (2 * float(np.pi))

    def rays(self) -> Array:
        """Unit directions (height, width, 3) of all pixel centres in the image's own frame."""
        return erp_directions(self.height, self.width)

    def directions(self) -> Array:
        """Unit directions (height, width, 3) of all pixel centres in the world frame."""
        return to_world(self.rays(), self.matrix)

    def cos_off_axis(self) -> Array:
        """Ones (height, width): a distance along the axis is one along the ray."""
        return np.ones((self.height, self.width))

    def project(self, directions: Array) -> tuple[Array, Array, NDArray[np.bool_]]:
        """Pixel coordinates (column, row) of world directions (..., 3), and that all are inside; see ``Camera.project``."""
        column, row = directions_to_erp(directions @ self.matrix, self.height, self.width)
        return column, row, np.ones(column.shape, bool)


View = Camera | Sphere
"""What looks at a panorama."""
