"""View layouts: named sets of square perspective cameras. Sizes are in pixels, angles in radians.

A square view of 90 degrees sees a sixth of the sphere, so on average a direction is seen by this many views:

| layout               | views      | views of 90 degrees per direction |
|----------------------|------------|-----------------------------------|
| cubemap              | 6          | 1 (1.117 with 96 degrees)         |
| icosahedron_vertices | 12         | 2                                 |
| icosahedron          | 20         | 3.33                              |
| rings                | by request | views / 6                         |
| random               | by request | views / 6                         |
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from geometry.cameras import Camera, rotation_from_angles
from geometry.directions import erp_angles
from geometry.spheres import View

HALF_PI = np.pi / 2
EIGHT_YAWS = tuple(turn * np.pi / 4 for turn in range(8))
CUBE_FACES = {
    "front": (0.0, 0.0),
    "right": (HALF_PI, 0.0),
    "back": (np.pi, 0.0),
    "left": (-HALF_PI, 0.0),
    "up": (0.0, HALF_PI),
    "down": (0.0, -HALF_PI),
}
"""Yaw and pitch of each face, in the order of :func:`cubemap`. The front face's edges adjoin the upper edge of ``down`` and the
lower edge of ``up``."""


def cubemap(size: int, fov: float = HALF_PI) -> tuple[Camera, ...]:
    """Six faces: front, right, back, left, up, down. A ``fov`` above 90 degrees makes neighbours overlap."""
    return tuple(Camera.looking(size, size, fov, yaw, pitch) for yaw, pitch in CUBE_FACES.values())


def icosahedron(size: int, fov: float = HALF_PI) -> tuple[Camera, ...]:
    """Twenty views at the face centres of an icosahedron that stands on a vertex: four rings of five, from top to bottom."""
    north, south, upper, lower = _icosahedron_corners()
    after = np.roll(upper, -1, axis=0), np.roll(lower, -1, axis=0)
    centres = [north + upper + after[0], upper + after[0] + lower, lower + after[1] + after[0], lower + after[1] + south]
    return _looking_at(size, fov, np.concatenate(centres))


def icosahedron_vertices(size: int, fov: float = HALF_PI) -> tuple[Camera, ...]:
    """Twelve views at the corners of the same icosahedron, from top to bottom."""
    north, south, upper, lower = _icosahedron_corners()
    return _looking_at(size, fov, np.concatenate([north[None], upper, lower, south[None]]))


def rings(
    size: int,
    fov: float = HALF_PI,
    yaws: Sequence[float] | NDArray[np.floating] = EIGHT_YAWS,
    pitches: Sequence[float] | NDArray[np.floating] = (0.0,),
    poles: bool = True,
) -> tuple[Camera, ...]:
    """One ring of views at ``yaws`` for each pitch, then with ``poles`` one view straight up and one straight down."""
    views = [(float(yaw), float(pitch)) for pitch in pitches for yaw in yaws]
    if poles:
        views += [CUBE_FACES["up"], CUBE_FACES["down"]]
    return tuple(Camera.looking(size, size, fov, yaw, pitch) for yaw, pitch in views)


def random(
    size: int,
    count: int,
    rng: np.random.Generator,
    fov_range: tuple[float, float] = (np.radians(80), np.radians(120)),
    pitch_range: tuple[float, float] = (-HALF_PI, HALF_PI),
) -> tuple[Camera, ...]:
    """``count`` views as MTPano draws them: yaw uniform over the circle, pitch and fov uniform over their ranges."""
    yaws = rng.uniform(0, 2 * np.pi, count)
    pitches = rng.uniform(*pitch_range, count)
    fovs = rng.uniform(*fov_range, count)
    return explicit(size, [(yaw, pitch, fov, 0.0) for yaw, pitch, fov in zip(yaws, pitches, fovs)])


def explicit(size: int, views: Sequence[Sequence[float]]) -> tuple[Camera, ...]:
    """One view for each (yaw, pitch, fov, roll)."""
    return tuple(Camera.looking(size, size, float(fov), yaw, pitch, roll) for yaw, pitch, fov, roll in views)


def coverage(cameras: Sequence[Camera], height: int, width: int) -> NDArray[np.uint8]:
    """How many views see each pixel centre of an ERP image: (height, width) uint8, saturated at 255."""
    longitude, latitude = erp_angles(height, width)
    seen = np.zeros((height, width), dtype=np.uint16)
    for camera in cameras:
        # Directions divided by cos(latitude): a camera coordinate is a function of the column minus one of the row.
        around = (np.stack([np.sin(longitude), np.cos(longitude)], axis=1) @ camera.matrix[[0, 2]]).astype(np.float32)
        down = (np.tan(latitude)[:, None] * camera.matrix[1]).astype(np.float32)
        x, y, z = (around[None, :, axis] - down[:, None, axis] for axis in range(3))
        reach = z * np.float32(camera.width / 2 / camera.focal)
        seen += (np.abs(x) <= reach) & (np.abs(y) <= reach * np.float32(camera.height / camera.width))
    return np.minimum(seen, 255).astype(np.uint8)


def _icosahedron_corners() -> tuple[NDArray[np.float64], ...]:
    """North (3,), south (3,), upper ring (5, 3) and lower ring (5, 3) of unit corners; the lower ring is turned by 36 degrees."""
    north = np.array([0.0, -1.0, 0.0])
    turns = np.arange(5) * (2 * np.pi / 5)
    level, high = 2 / np.sqrt(5), 1 / np.sqrt(5)
    upper = np.stack([level * np.sin(turns), np.full(5, -high), level * np.cos(turns)], axis=1)
    turns = turns + np.pi / 5
    lower = np.stack([level * np.sin(turns), np.full(5, high), level * np.cos(turns)], axis=1)
    return north, -north, upper, lower


def _looking_at(size: int, fov: float, points: NDArray[np.float64]) -> tuple[Camera, ...]:
    yaws = np.arctan2(points[:, 0], points[:, 2])
    pitches = np.arctan2(-points[:, 1], np.hypot(points[:, 0], points[:, 2]))
    return tuple(Camera.looking(size, size, fov, yaw, pitch) for yaw, pitch in zip(yaws, pitches))


def turned(views: Sequence[View], yaw: float) -> tuple[View, ...]:
    """The same views, all turned to the right by ``yaw`` radians about the vertical axis of the world."""
    turn = rotation_from_angles(yaw, 0.0)
    return tuple(replace(one, rotation=tuple(float(value) for value in (turn @ one.matrix).reshape(9))) for one in views)
