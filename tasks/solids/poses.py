"""Where cameras of panoramas stood and which way they were turned, as their metadata says.

The world has x right, y down, z forward: seen from a panorama of heading 0, whose centre looks along z. On a map these are east,
down and north.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geometry.cameras import refuse_no_rotation, rotation_from_angles
from tasks.stage.job import BadItem

FARTHEST = 1e4
"""Metres. Points are of 32 bits, in steps of a millimetre there; positions of maps are often hundreds of kilometres from zero."""


@dataclass(frozen=True)
class Pose:
    """Panorama frame -> world: ``position`` (3,) in the unit of the depth, ``rotation`` (3, 3)."""

    position: NDArray[np.float64] = field(default_factory=lambda: np.zeros(3))
    rotation: NDArray[np.float64] = field(default_factory=lambda: np.eye(3))

    def turned(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """Directions (..., 3) of the panorama in the world."""
        return (vectors @ self.rotation.T).astype(np.float32)

    def placed(self, points: NDArray[np.float32]) -> NDArray[np.float32]:
        """Points (..., 3) of the panorama in the world."""
        return (points @ self.rotation.T + self.position).astype(np.float32)


def pose_of(metadata: Mapping[str, Any]) -> Pose | None:
    """Of an item: ``position``, x, y and z in metres; ``heading``, radians about the vertical to the right, or
    ``pose_heading_degrees``, or ``rotation``, 9 numbers row by row or 3 rows of 3, panorama -> world. None without a position.

    Raises
    ------
    BadItem
        What it says is no position, or no rotation.
    """
    if metadata.get("position") is None:
        return None
    try:
        position = np.array(metadata["position"], np.float64).reshape(3)
        rotation = np.array(metadata.get("rotation", _about_the_vertical(metadata)), np.float64).reshape(3, 3)
        refuse_no_rotation(tuple(rotation.ravel().tolist()))
        if not np.isfinite(position).all():
            raise ValueError("it is not finite")
        if np.abs(position).max() > FARTHEST:
            raise ValueError(f"it is more than {FARTHEST / 1000:g} km from zero: take the same numbers off all positions")
    except (TypeError, ValueError) as error:
        raise BadItem(
            "its metadata must say a position of three numbers in metres, and a heading in radians or a rotation of 9 numbers; "
            f"{str(error)[:100]}"
        ) from error
    return Pose(position, rotation)


def _about_the_vertical(metadata: Mapping[str, Any]) -> NDArray[np.floating]:
    heading = metadata.get("heading", np.radians(float(metadata.get("pose_heading_degrees", 0.0))))
    return rotation_from_angles(float(heading), 0.0)


Z_UP = np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])
"""World -> the frame of surveys and maps, x right, y forward, z up (3, 3)."""
