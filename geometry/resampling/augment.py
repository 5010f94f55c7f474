"""Changes of a panorama with its labels that keep them true: exact on the sphere, or resampled without mixing labels.

All work on the arrays (H, W) or (H, W, C) of one panorama at once, so that image and labels stay together. Vectors are turned
with the world, so that they stay in the frame of the changed panorama; depth is radial and stays what it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from geometry.cameras import rotation_from_angles
from geometry.directions import directions_to_erp, erp_directions
from geometry.resampling.padding import pad_sphere

Arrays = Mapping[str, NDArray[Any]]
VECTORS = ("normals", "points")
"""Names of the arrays (H, W, 3) that hold vectors in the panorama's frame."""
BLENDED = ("image",)
"""Names of the arrays that may be mixed when resampled; all others are labels or masks."""
UNMIXED = ("observed",)
"""Names of masks (H, W) of what those are made of: true where no false pixel is mixed in."""


def roll(arrays: Arrays, columns: int) -> dict[str, NDArray[Any]]:
    """Turn the panorama about the vertical axis by whole columns to the right. Exact."""
    width = next(iter(arrays.values())).shape[1]
    return _turn_vectors({name: np.roll(array, columns, axis=1) for name, array in arrays.items()}, yaw_of(columns, width))


def mirror(arrays: Arrays) -> dict[str, NDArray[Any]]:
    """Swap left and right: the world is reflected at the plane x = 0. Exact."""
    mirrored = {name: np.ascontiguousarray(array[:, ::-1]) for name, array in arrays.items()}
    for name in VECTORS:
        if name in mirrored:
            mirrored[name][..., 0] *= -1
    return mirrored


def rotate(arrays: Arrays, rotation: NDArray[np.floating]) -> dict[str, NDArray[Any]]:
    """Turn the world about the viewpoint by any rotation.

    Parameters
    ----------
    arrays : mapping
        Arrays in ``BLENDED`` are sampled bilinearly on the sphere, and masks in ``UNMIXED`` along with them. All others take
        the pixel that holds the direction: exact for what is constant around it, and off by at most half a pixel's diagonal
        otherwise.
    rotation : (3, 3)
        Takes directions of the panorama to those of the result: what was seen along d is then seen along R d.
    """
    height, width = next(iter(arrays.values())).shape[:2]
    column, row = directions_to_erp(_times(_rays(height, width), rotation), height, width)  # R^-1 d, as rows
    index = np.minimum(row.astype(np.int32), height - 1) * width + column.astype(np.int32) % width

    def sample(name: str, array: NDArray[Any]) -> NDArray[Any]:
        if name in UNMIXED:
            return np.asarray(_blend((~array).astype(np.float32), column, row) == 0)
        return _blend(array, column, row) if name in BLENDED else array.reshape(-1, *array.shape[2:])[index]

    return _turn_vectors({name: sample(name, array) for name, array in arrays.items()}, rotation)


def yaw_of(columns: int, width: int) -> NDArray[np.floating]:
    """Rotation (3, 3) of the world that a roll by ``columns`` of ``width`` is."""
    return rotation_from_angles(2 * np.pi * columns / width, 0.0)


@dataclass(frozen=True)
class Augmentation:
    """How much a panorama is changed at random.

    ``roll`` turns by a whole number of columns, all as likely; ``mirror`` swaps left and right every other time;
    ``tilt_degrees`` is the largest angle of a turn about a random horizontal axis, zero for none.
    """

    roll: bool = True
    mirror: bool = True
    tilt_degrees: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.tilt_degrees <= 180:
            raise ValueError(f"tilt_degrees must lie between 0 and 180, got {self.tilt_degrees:g}")


def augment(arrays: Arrays, how: Augmentation, generator: np.random.Generator) -> dict[str, NDArray[Any]]:
    """A random change of a panorama and its labels. The same generator state gives the same change, whatever is switched on."""
    width = next(iter(arrays.values())).shape[1]
    columns, side = int(generator.integers(width)), bool(generator.integers(2))
    angle, about = np.radians(how.tilt_degrees) * generator.uniform(), generator.uniform(0, 2 * np.pi)
    changed = dict(arrays)
    if angle > 0:
        changed = rotate(changed, cv2.Rodrigues(angle * np.array([np.cos(about), 0, np.sin(about)]))[0])
    if how.mirror and side:
        changed = mirror(changed)
    return roll(changed, columns) if how.roll else changed


def _turn_vectors(arrays: dict[str, NDArray[Any]], rotation: NDArray[np.floating]) -> dict[str, NDArray[Any]]:
    for name in VECTORS:
        if name in arrays:
            arrays[name] = _times(arrays[name], rotation.T)
    return arrays


def _times(vectors: NDArray[Any], matrix: NDArray[np.floating]) -> NDArray[Any]:
    """Rows (..., 3) times a matrix, in float32 at least, and in the dtype of the rows."""
    precision = np.result_type(vectors.dtype, np.float32)
    flat = vectors.reshape(-1, 3).astype(precision, copy=False) @ matrix.astype(precision)
    return flat.reshape(vectors.shape).astype(vectors.dtype, copy=False)


@lru_cache(maxsize=4)
def _rays(height: int, width: int) -> NDArray[np.float32]:
    return erp_directions(height, width).astype(np.float32)


def _blend(array: NDArray[Any], column: NDArray[np.floating], row: NDArray[np.floating]) -> NDArray[Any]:
    """Bilinear samples at continuous coordinates, round the seam and over the poles; OpenCV's are zero at a pixel's centre."""
    padded = pad_sphere(array, 1)
    sampled = cv2.remap(padded, column + np.float32(0.5), row + np.float32(0.5), cv2.INTER_LINEAR)
    return sampled.reshape(array.shape)
