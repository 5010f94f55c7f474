"""Objects of one image whose masks may overlap, packed so that all pairs can be intersected quickly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]
Integers = NDArray[np.integer]
Floats = NDArray[np.floating]


@dataclass(frozen=True, eq=False)
class Packed:
    """Masks as bits: ``words`` (N, K) uint64, and the half-open range of words that each mask fills."""

    words: NDArray[np.uint64]
    first: Integers
    last: Integers


@dataclass(frozen=True, eq=False)
class Objects:
    """Detections, or the true objects, of one image.

    Parameters
    ----------
    masks : (N, H, W) bool; they may overlap, and cross the seam between the last column and the first
    classes : (N,) int
    scores : (N,) float, finite, larger is surer; ones where not given
    crowd : (N,) bool, true "objects" that stand for a group nobody told apart; none where not given

    Raises
    ------
    ValueError
        If shapes do not fit, or a score is not finite.
    """

    masks: Mask
    classes: Integers
    scores: Floats | None = None
    crowd: Mask | None = None

    def __post_init__(self) -> None:
        if self.masks.ndim != 3 or self.masks.dtype != np.bool_:
            raise ValueError(f"masks must be (N, H, W) bool, not {self.masks.shape} {self.masks.dtype}")
        for name in ("classes", "scores", "crowd"):
            given = getattr(self, name)
            if given is not None and np.shape(given) != (len(self.masks),):
                raise ValueError(f"{name} must have one entry for each of the {len(self.masks)} masks, not {np.shape(given)}")
        if self.scores is not None and not np.isfinite(self.scores).all():
            raise ValueError("scores must be finite; drop or mend those that are not before measuring")

    def __len__(self) -> int:
        return len(self.masks)

    @cached_property
    def confidence(self) -> Floats:
        """(N,) float64 scores, ones where none were given."""
        return np.ones(len(self)) if self.scores is None else np.asarray(self.scores, np.float64)

    @cached_property
    def is_crowd(self) -> Mask:
        """(N,) bool."""
        return np.zeros(len(self), bool) if self.crowd is None else np.asarray(self.crowd, bool)

    @cached_property
    def packed(self) -> Packed:
        return pack(self.masks)

    @cached_property
    def areas(self) -> Integers:
        """(N,) int64 pixels."""
        return areas(self.packed)

    def chosen(self, keep: Mask | Integers | Sequence[int]) -> Objects:
        """The objects that ``keep`` indexes."""
        scores = None if self.scores is None else self.scores[keep]
        crowd = None if self.crowd is None else self.crowd[keep]
        return Objects(self.masks[keep], self.classes[keep], scores, crowd)


def no_objects(height: int, width: int) -> Objects:
    """An image without objects."""
    return Objects(np.zeros((0, height, width), bool), np.zeros(0, np.int64), np.zeros(0))


def pack(masks: Mask) -> Packed:
    """Bits of masks (N, H, W) bool, row by row; the tail of the last word is zero."""
    count, height, width = masks.shape
    bits = np.packbits(masks.reshape(count, height * width), axis=1)
    padded = np.zeros((count, -(-bits.shape[1] // 8) * 8), np.uint8)
    padded[:, : bits.shape[1]] = bits
    words = padded.view(np.uint64)
    filled = words != 0
    first = filled.argmax(axis=1) if words.size else np.zeros(count, np.int64)
    last = np.where(filled.any(axis=1), words.shape[1] - filled[:, ::-1].argmax(axis=1), first) if words.size else first
    return Packed(words, first, last)


def areas(packed: Packed) -> Integers:
    """(N,) int64 pixels of each mask."""
    return np.bitwise_count(packed.words).sum(axis=1, dtype=np.int64)


def restrict(packed: Packed, region: Mask) -> Packed:
    """The masks cut to a region (H, W) bool."""
    return Packed(packed.words & pack(region[None]).words, packed.first, packed.last)


def overlaps(packed: Packed, region: Mask) -> Integers:
    """(N,) int64 pixels of each mask inside a region (H, W) bool."""
    return areas(restrict(packed, region)) if region.any() else np.zeros(len(packed.words), np.int64)


def intersections(rows: Packed, columns: Packed, wanted: Mask) -> Integers:
    """Shared pixels (N, M) int64 of every pair of masks that is ``wanted`` (N, M) bool; 0 for the others."""
    shared = np.zeros((len(rows.words), len(columns.words)), np.int64)
    for index, (first, last) in enumerate(zip(rows.first, rows.last)):
        near = np.flatnonzero(wanted[index] & (columns.first < last) & (columns.last > first))
        if len(near):
            common = rows.words[index, first:last] & columns.words[near, first:last]
            shared[index, near] = np.bitwise_count(common).sum(axis=1, dtype=np.int64)
    return shared


def same_class(rows: Integers, columns: Integers) -> Mask:
    """(N, M) bool."""
    return np.asarray(rows)[:, None] == np.asarray(columns)[None, :]
