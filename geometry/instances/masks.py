"""Masks on the sphere as run lengths: compact, measured in steradians, and whole over the +-180 degree seam.

A run is a start, ``row * width + column``, and a length in pixels. It stays in its row and wraps: one that reaches the last
column goes on at column 0 of the same row, which is its neighbour on the sphere. So an object over the seam has no
cut in it, and a mask has exactly one encoding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from geometry.directions import angles_to_directions, erp_angles

Integers = NDArray[np.integer]
FloatArray = NDArray[np.float64]


def pixel_areas(height: int, width: int) -> FloatArray:
    """Solid angle (height,) in steradians of one pixel of each row of an ERP image; exact, so that all pixels make 4 pi."""
    edges = np.sin((0.5 - np.arange(height + 1) / height) * np.pi)
    return (edges[:-1] - edges[1:]) * (2 * np.pi / width)


@dataclass(frozen=True, eq=False)
class SphericalMask:
    """One mask of an ERP image of ``height`` x ``width``: ``starts`` (R,) ascending, and ``lengths`` (R,) in 1..width, int64."""

    height: int
    width: int
    starts: NDArray[np.int64]
    lengths: NDArray[np.int64]

    @property
    def pixels(self) -> NDArray[np.int64]:
        """Flat indices of the mask's pixels, run by run."""
        first = np.cumsum(self.lengths) - self.lengths
        along = np.arange(int(self.lengths.sum())) - np.repeat(first, self.lengths)
        row, column = np.divmod(np.repeat(self.starts, self.lengths), self.width)
        return row * self.width + (column + along) % self.width

    @property
    def area(self) -> float:
        """Solid angle in steradians."""
        return float(self.lengths @ pixel_areas(self.height, self.width)[self.starts // self.width])

    @property
    def crosses_seam(self) -> bool:
        """Some row has both pixels beside the +-180 degree seam."""
        return bool((self.starts % self.width + self.lengths > self.width).any() or (self.lengths == self.width).any())

    @property
    def covers_pole(self) -> bool:
        """More than half of the first or of the last row, whose pixels all touch a pole, belongs to the mask."""
        row = self.starts // self.width
        return any(2 * self.lengths[row == pole].sum() > self.width for pole in (0, self.height - 1))

    @property
    def centre(self) -> FloatArray:
        """Unit direction (3,) of the mask's centre of area, world frame; zero where there is none, as for a whole belt."""
        row, column = np.divmod(self.pixels, self.width)
        longitude, latitude = erp_angles(self.height, self.width)
        weights = pixel_areas(self.height, self.width)[row]
        total = weights @ angles_to_directions(longitude[column], latitude[row])
        length = np.linalg.norm(total)
        return np.asarray(total / length if length > 1e-9 * max(weights.sum(), 1e-300) else np.zeros(3))


def encode_mask(mask: NDArray[np.bool_]) -> SphericalMask:
    """A dense mask (H, W) as run lengths."""
    return mask_of_pixels(np.flatnonzero(mask), *mask.shape)


def decode_mask(mask: SphericalMask) -> NDArray[np.bool_]:
    """The dense mask (H, W)."""
    dense = np.zeros(mask.height * mask.width, bool)
    dense[mask.pixels] = True
    return dense.reshape(mask.height, mask.width)


def mask_of_pixels(pixels: Integers, height: int, width: int) -> SphericalMask:
    """The mask of flat pixel indices (P,), ascending and without repeats."""
    pixels = pixels.astype(np.int64)
    breaks = (np.diff(pixels) != 1) | (pixels[1:] % width == 0)
    first = np.flatnonzero(np.concatenate([[True], breaks])) if len(pixels) else np.zeros(0, np.int64)
    starts, lengths = pixels[first], np.diff(np.append(first, len(pixels)))
    # A row's first run at column 0 is the end of its last run, if that reaches the last column and is another one.
    at_zero = np.flatnonzero((starts % width == 0) & (lengths < width))
    last = np.searchsorted(starts, (starts[at_zero] // width + 1) * width) - 1
    wraps = starts[last] % width + lengths[last] == width
    lengths[last[wraps]] += lengths[at_zero[wraps]]
    return SphericalMask(height, width, np.delete(starts, at_zero[wraps]), np.delete(lengths, at_zero[wraps]))


def masks_of_ids(ids: Integers, count: int) -> list[SphericalMask]:
    """The masks of the ids 1..count of a map (H, W), whose other values are no part of any; never a dense map for each."""
    pixels = np.flatnonzero((ids > 0) & (ids <= count))
    owner = ids.ravel()[pixels]
    order = np.argsort(owner, kind="stable")
    ends = np.searchsorted(owner[order], np.arange(1, count + 2))
    return [mask_of_pixels(pixels[order[start:end]], *ids.shape) for start, end in pairwise(ends)]


def common_area(one: SphericalMask, other: SphericalMask) -> float:
    """Solid angle in steradians of what two masks of one image size share.

    Raises
    ------
    ValueError
        If the sizes differ.
    """
    if (one.height, one.width) != (other.height, other.width):
        raise ValueError(f"masks must share one size, got {one.height}x{one.width} and {other.height}x{other.width}")
    ends = [edges for mask in (one, other) for edges in _unwrapped(mask)]
    at = np.concatenate(ends)
    depth = np.concatenate([np.full(len(edges), step) for edges, step in zip(ends, (1, -1, 1, -1))])
    order = np.lexsort((depth, at))  # at one place what ends comes first
    inside = np.cumsum(depth[order])[:-1] == 2
    lengths, rows = np.diff(at[order])[inside], at[order][:-1][inside] // one.width
    return float(lengths @ pixel_areas(one.height, one.width)[rows]) if len(rows) else 0.0


def spherical_iou(one: SphericalMask, other: SphericalMask) -> float:
    """Intersection over union by solid angle; 0 for two empty masks."""
    common = common_area(one, other)
    union = one.area + other.area - common
    return common / union if union > 0 else 0.0


def intersection_over_smaller(one: SphericalMask, other: SphericalMask) -> float:
    """Intersection over the smaller mask by solid angle; 0 where one is empty."""
    smaller = min(one.area, other.area)
    return common_area(one, other) / smaller if smaller > 0 else 0.0


def _unwrapped(mask: SphericalMask) -> tuple[Integers, Integers]:
    """Starts and ends of the mask's runs as intervals of flat indices; a run over the seam becomes two."""
    beyond = mask.starts % mask.width + mask.lengths - mask.width
    over = beyond > 0
    row_start = mask.starts[over] // mask.width * mask.width
    starts = np.concatenate([mask.starts, row_start])
    return starts, np.concatenate([mask.starts + mask.lengths - np.maximum(beyond, 0), row_start + beyond[over]])


def pack_masks(masks: Sequence[SphericalMask]) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
    """Masks as flat arrays: runs (R, 2), start and length, one mask after the other, and offsets (masks + 1,) into them."""
    counts = [len(mask.starts) for mask in masks]
    runs = [np.stack([mask.starts, mask.lengths], axis=1) for mask in masks]
    flat = np.concatenate(runs) if runs else np.zeros((0, 2))
    return flat.astype(np.uint32), np.concatenate([[0], np.cumsum(counts)]).astype(np.uint32)


def unpack_masks(runs: Integers, offsets: Integers, height: int, width: int) -> list[SphericalMask]:
    """The masks that :func:`pack_masks` made flat; what follows the last offset is not looked at."""
    parts = [runs[start:end].astype(np.int64) for start, end in pairwise(offsets)]
    return [SphericalMask(height, width, part[:, 0], part[:, 1]) for part in parts]
