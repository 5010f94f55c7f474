"""Procedural surfaces: the albedo of a point on a wall of bricks, a floor of planks, a facade of windows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]


@dataclass(frozen=True)
class Material:
    """How a surface looks.

    ``pattern`` names a function of this module; ``colour`` and ``accent`` are linear RGB albedos in [0, 1]; ``scale`` is the size
    of the pattern in metres; ``glow`` is added light (lamps, bright windows); ``grain`` is the strength of the noise on top.
    """

    pattern: str
    colour: tuple[float, float, float]
    accent: tuple[float, float, float] = (0.1, 0.1, 0.1)
    scale: float = 1.0
    glow: float = 0.0
    grain: float = 0.15
    seed: int = 0


def albedo(material: Material, points: Array, normals: Array) -> Array:
    """Linear RGB albedo (N, 3) at world points (N, 3) with surface normals (N, 3)."""
    across, up = _surface_coordinates(points, normals)
    share = PATTERNS[material.pattern](across / material.scale, up / material.scale, material.seed)
    colour = np.array(material.colour, np.float32) + share[:, None] * (np.subtract(material.accent, material.colour)).astype(
        np.float32
    )
    grain = noise(points * 6, material.seed) * 0.6 + noise(points * 40, material.seed + 1) * 0.4
    return np.clip(colour * (1 + material.grain * (2 * grain[:, None] - 1)), 0, 1)


def _surface_coordinates(points: Array, normals: Array) -> tuple[Array, Array]:
    """Two coordinates in metres along a surface, by the axis that its normal is nearest to; ``up`` grows upwards on walls."""
    size = np.abs(normals)
    level = (size[:, 1] >= size[:, 0]) & (size[:, 1] >= size[:, 2])
    facing_x = ~level & (size[:, 0] > size[:, 2])
    across = np.where(facing_x, points[:, 2], points[:, 0])
    up = np.where(level, points[:, 2], -points[:, 1])
    return across, up


def _hash(x: NDArray[np.int64], y: NDArray[np.int64], z: NDArray[np.int64] | int, seed: int) -> Array:
    """A number in [0, 1) for each lattice point."""
    mixed = (x * 374761393 + y * 668265263 + z * 2147483647 + seed * 974634541).astype(np.uint32)
    mixed = (mixed ^ (mixed >> np.uint32(13))) * np.uint32(1274126177)
    mixed ^= mixed >> np.uint32(16)
    return mixed.astype(np.float32) / np.float32(2**32)


def noise(points: Array, seed: int) -> Array:
    """Smooth value noise in [0, 1) at points (N, 3), one period a unit."""
    cell = np.floor(points).astype(np.int64)
    part = (points - cell).astype(np.float32)
    part = part * part * (3 - 2 * part)
    total = np.zeros(len(points), np.float32)
    for corner in range(8):
        offset = np.array([corner & 1, corner >> 1 & 1, corner >> 2])
        weight = np.where(offset, part, 1 - part).prod(axis=1)
        x, y, z = (cell + offset).T
        total += weight * _hash(x, y, z, seed)
    return total


def solid(across: Array, up: Array, seed: int) -> Array:
    """One colour."""
    return np.zeros(len(across), np.float32)


def bricks(across: Array, up: Array, seed: int) -> Array:
    """Courses of bricks, each other one shifted by half; mortar is the accent, and bricks differ in tone."""
    row = np.floor(up * 8).astype(np.int64)
    shifted = across * 3 + 0.5 * (row % 2)
    column = np.floor(shifted).astype(np.int64)
    mortar = (shifted - column < 0.06) | (up * 8 - row < 0.14)
    return np.where(mortar, 1.0, 0.35 * _hash(column, row, 0, seed)).astype(np.float32)


def planks(across: Array, up: Array, seed: int) -> Array:
    """Boards of random tone, with a dark joint."""
    board = np.floor(across * 5).astype(np.int64)
    along = up + _hash(board, board, 7, seed) * 3
    piece = np.floor(along / 2).astype(np.int64)
    joint = (across * 5 - board < 0.05) | (along / 2 - piece < 0.01)
    return np.where(joint, 1.0, 0.7 * _hash(board, piece, 3, seed)).astype(np.float32)


def tiles(across: Array, up: Array, seed: int) -> Array:
    """Square tiles with a joint in the accent."""
    column, row = np.floor(across * 2).astype(np.int64), np.floor(up * 2).astype(np.int64)
    joint = (across * 2 - column < 0.04) | (up * 2 - row < 0.04)
    return np.where(joint, 1.0, 0.2 * _hash(column, row, 1, seed)).astype(np.float32)


def checker(across: Array, up: Array, seed: int) -> Array:
    """Squares in turn."""
    return ((np.floor(across * 2) + np.floor(up * 2)) % 2).astype(np.float32)


def stripes(across: Array, up: Array, seed: int) -> Array:
    """Bands of the accent."""
    return (np.floor(across * 4) % 2).astype(np.float32)


def blotches(across: Array, up: Array, seed: int) -> Array:
    """Soft patches: foliage, grass, worn plaster."""
    flat = np.stack([across, up, np.zeros_like(across)], axis=1)
    return np.clip(1.6 * (0.65 * noise(flat * 3, seed) + 0.35 * noise(flat * 11, seed)) - 0.3, 0, 1)


def facade(across: Array, up: Array, seed: int) -> Array:
    """Rows of windows, each of a tone of its own, in plaster."""
    column, row = np.floor(across / 2.4).astype(np.int64), np.floor(up / 3.0).astype(np.int64)
    x, y = across / 2.4 - column, up / 3.0 - row
    window = (x > 0.25) & (x < 0.75) & (y > 0.3) & (y < 0.85)
    frame = window & ((np.abs(x - 0.5) < 0.02) | (x < 0.29) | (x > 0.71) | (y > 0.81) | (y < 0.34))
    return np.where(frame, 0.25, np.where(window, 0.6 + 0.4 * _hash(column, row, 5, seed), 0.0)).astype(np.float32)


def lanes(across: Array, up: Array, seed: int) -> Array:
    """Asphalt, with dashes of the accent along the middle (x = 0) and lines near the kerbs."""
    dashes = (np.abs(across) < 0.08) & (up % 6 < 3)
    return (dashes | (np.abs(np.abs(across) - 3.2) < 0.07)).astype(np.float32)


PATTERNS: dict[str, Callable[[Array, Array, int], Array]] = {
    function.__name__: function for function in (solid, bricks, planks, tiles, checker, stripes, blotches, facade, lanes)
}
"""Pattern name -> share of the accent in [0, 1] at surface coordinates in units of the material's scale."""
