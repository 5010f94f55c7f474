"""Perspective cameras: a size in pixels, a horizontal field of view and a rotation from camera to world."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.floating]

AT_ONCE = 8192
"""Vectors that are turned by one product: of far more BLAS wakes its threads, which takes longer than the product, and of a
stack of rows numpy makes one for each row."""


def rotation_from_angles(yaw: float, pitch: float, roll: float = 0.0) -> Array:
    """Camera-to-world rotation (3, 3) whose optical axis points at longitude ``yaw``, latitude ``pitch`` (radians).

    ``roll`` turns the camera about its own optical axis, clockwise as seen from behind it (x towards y).
    """
    cy, sy, cp, sp, cr, sr = np.cos(yaw), np.sin(yaw), np.cos(pitch), np.sin(pitch), np.cos(roll), np.sin(roll)
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_x = np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
    about_z = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    return about_y @ about_x @ about_z


def refuse_no_rotation(rotation: tuple[float, ...]) -> None:
    """Raises ValueError if 9 numbers, row by row, are no rotation."""
    if len(rotation) != 9:
        raise ValueError(f"camera rotation must have 9 numbers, got {len(rotation)}")
    matrix = np.array(rotation, dtype=np.float64).reshape(3, 3)
    if not np.allclose(matrix @ matrix.T, np.eye(3), atol=1e-6) or np.linalg.det(matrix) < 0:
        raise ValueError("camera rotation is not a right-handed orthonormal matrix")


@dataclass(frozen=True)
class Camera:
    """A perspective view. Hashable, so that everything derived from it can be cached.

    Parameters
    ----------
    width, height : int
        Size in pixels. Pixel (i, j) has its centre at ``(j + 0.5, i + 0.5)``; the principal point is size / 2.
    fov : float
        Horizontal field of view in radians, in (0, pi). Pixels are square.
    rotation : tuple of 9 floats
        Camera-to-world rotation, row by row; see :attr:`matrix`.
    """

    width: int
    height: int
    fov: float
    rotation: tuple[float, ...]

    def __post_init__(self) -> None:
        if self.width < 1 or self.height < 1:
            raise ValueError(f"camera size must be at least 1x1 pixels, got {self.width}x{self.height}")
        if not 0 < self.fov < np.pi:
            raise ValueError(f"camera fov must lie between 0 and 180 degrees, got {np.degrees(self.fov):g}")
        refuse_no_rotation(self.rotation)

    @classmethod
    def looking(cls, width: int, height: int, fov: float, yaw: float = 0.0, pitch: float = 0.0, roll: float = 0.0) -> "Camera":
        """A camera whose axis points at longitude ``yaw``, latitude ``pitch``; all angles in radians."""
        return cls.from_matrix(width, height, fov, rotation_from_angles(yaw, pitch, roll))

    @classmethod
    def from_matrix(cls, width: int, height: int, fov: float, matrix: ArrayLike) -> "Camera":
        """A camera with the camera-to-world rotation ``matrix`` (3, 3)."""
        return cls(int(width), int(height), float(fov), tuple(float(value) for value in np.asarray(matrix).reshape(9)))

    @property
    def matrix(self) -> Array:
        """Camera-to-world rotation (3, 3), float64."""
        return np.array(self.rotation, dtype=np.float64).reshape(3, 3)

    @property
    def focal(self) -> float:
        """Focal length in pixels."""
        return self.width / 2 / float(np.tan(self.fov / 2))

    @property
    def axis(self) -> Array:
        """Unit direction (3,) of the optical axis, world frame."""
        return self.matrix[:, 2]

    def rays(self) -> Array:
        """Unit rays (height, width, 3) of all pixel centres in the camera frame.

        Not to be written into: views of one size and field of view share them.
        """
        return _rays(self.width, self.height, self.focal)

    def directions(self) -> Array:
        """Unit directions (height, width, 3) of all pixel centres in the world frame."""
        return to_world(self.rays(), self.matrix)

    def cos_off_axis(self) -> Array:
        """Cosine (height, width) of the angle between each pixel's ray and the optical axis: a z-depth over its distance."""
        return self.rays()[..., 2]

    def project(self, directions: Array) -> tuple[Array, Array, NDArray[np.bool_]]:
        """Pixel coordinates of world directions.

        Parameters
        ----------
        directions : (..., 3) array, world frame

        Returns
        -------
        column, row : (...) arrays
            Continuous pixel coordinates; a pixel's centre has the fraction 0.5. Meaningless where not inside.
        inside : (...) bool array
            In front of the camera and within the image.
        """
        local = directions @ self.matrix
        front = local[..., 2] > 1e-9
        z = np.where(front, local[..., 2], 1.0)
        column = local[..., 0] / z * self.focal + self.width / 2
        row = local[..., 1] / z * self.focal + self.height / 2
        inside = front & (column >= 0) & (column <= self.width) & (row >= 0) & (row <= self.height)
        return column, row, inside


@lru_cache(maxsize=4)
def _rays(width: int, height: int, focal: float) -> Array:
    x = (np.arange(width) + 0.5 - width / 2) / focal
    y = (np.arange(height) + 0.5 - height / 2) / focal
    plane = np.stack([*np.meshgrid(x, y), np.ones((height, width))], axis=-1)
    rays: Array = plane / np.linalg.norm(plane, axis=-1, keepdims=True)
    rays.setflags(write=False)  # shared by all who ask
    return rays


def to_world(vectors: Array, matrix: Array) -> Array:
    """Vectors (h, w, 3) of a camera's frame in the world's, by its rotation ``matrix`` (3, 3) of the same type."""
    flat = vectors.reshape(-1, 3)
    world = np.empty_like(flat)
    for start in range(0, len(flat), AT_ONCE):
        some = slice(start, start + AT_ONCE)
        np.matmul(flat[some], matrix.T, out=world[some])
    return world.reshape(vectors.shape)
