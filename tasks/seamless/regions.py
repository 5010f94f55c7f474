"""Masks as COCO's files hold them: polygons, and run lengths, plain or packed into text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]


def region_mask(region: Any, height: int, width: int) -> Mask:
    """The mask (height, width) bool of a COCO segmentation.

    Parameters
    ----------
    region : polygons [[x, y, x, y, ...], ...] or one polygon [x, y, ...]; or {"counts": [...] or text, "size": [height, width]}
        Of several polygons the union counts.

    Raises
    ------
    ValueError
        It is neither, is of another size, or its runs do not add up to its size.
    """
    if isinstance(region, Mapping):
        return _from_runs(region, height, width)
    if not isinstance(region, Sequence) or isinstance(region, str):
        raise ValueError(f"a mask must be polygons or run lengths, not {type(region).__name__}")
    polygons = [region] if region and isinstance(region[0], (int, float)) else region
    mask = np.zeros((height, width), bool)
    for polygon in polygons:
        mask |= polygon_mask(np.asarray(polygon, np.float64), height, width)
    return mask


def polygon_mask(corners: NDArray[np.float64], height: int, width: int) -> Mask:
    """Pixels (height, width) whose centres lie inside a polygon, of flat corners (2 n,) x, y, x, y, ..., by the even-odd rule.

    Notes
    -----
    COCO's own tool also takes pixels that the outline touches, half a pixel more all round.
    """
    if corners.ndim != 1 or len(corners) < 6 or len(corners) % 2 or not np.isfinite(corners).all():
        raise ValueError(
            f"a polygon must be at least three finite pairs x, y, not {corners.shape[0] if corners.ndim else 0} numbers"
        )
    x, y = corners[0::2], corners[1::2]
    next_x, next_y = np.roll(x, -1), np.roll(y, -1)
    centre = np.arange(height)[:, None] + 0.5
    row, edge = np.nonzero((y <= centre) != (next_y <= centre))
    across = x[edge] + (row + 0.5 - y[edge]) / (next_y - y)[edge] * (next_x - x)[edge]
    flips = np.zeros((height, width + 1), np.int64)
    np.add.at(flips, (row, np.clip(np.ceil(across - 0.5), 0, width).astype(np.int64)), 1)
    return (flips.cumsum(axis=1)[:, :width] % 2).astype(bool)


def _from_runs(region: Mapping[str, Any], height: int, width: int) -> Mask:
    if list(region.get("size", ())) != [height, width]:
        raise ValueError(f"a mask is of the size {region.get('size')}, its image of [{height}, {width}]")
    counts = region["counts"]
    runs = np.array(unpacked(counts) if isinstance(counts, str) else counts, np.int64)
    if runs.ndim != 1 or (runs < 0).any() or runs.sum() != height * width:
        raise ValueError(f"a mask's runs must add up to its {height}x{width} pixels")
    return np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(width, height).T


def unpacked(text: str) -> list[int]:
    """Run lengths out of COCO's text: 5 bits a character, the lowest first; from the fourth on, changes to the one but last."""
    runs: list[int] = []
    value = shift = 0
    for character in text:
        bits = ord(character) - 48
        if not 0 <= bits < 64:
            raise ValueError(f"packed run lengths hold {character!r}, which no such text has")
        value |= (bits & 0x1F) << shift
        shift += 5
        if bits & 0x20:
            continue
        if bits & 0x10:
            value -= 1 << shift
        runs.append(value + (runs[-2] if len(runs) > 2 else 0))
        value = shift = 0
    if shift:
        raise ValueError("packed run lengths end in the middle of a number")
    return runs
