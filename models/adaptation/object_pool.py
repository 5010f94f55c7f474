"""The amodal-driven object pool (UNLOCK sec. 3.3): whole objects cut from panoramas, to be pasted into others."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geometry.instances.boxes import Boxes, cut, mask_boxes

Mask = NDArray[np.bool_]
Integers = NDArray[np.integer]
Floats = NDArray[np.floating]


@dataclass(frozen=True, eq=False)
class PoolObject:
    """One object and where it was.

    Parameters
    ----------
    item : name of its panorama
    panorama : (H, W) of it
    box : (4,) int, see ``geometry/instances/boxes.py``
    label, score : class and score
    pixels : (h, w, C) image inside the box
    whole : (h, w) bool, its amodal mask
    overlap : (h, w) bool, the part of it that other objects claim as well
    """

    item: str
    panorama: tuple[int, int]
    box: NDArray[np.int64]
    label: int
    score: float
    pixels: NDArray[np.uint8]
    whole: Mask
    overlap: Mask

    @property
    def visible(self) -> Mask:
        """(h, w) bool: what is this object's for sure."""
        return self.whole & ~self.overlap

    @property
    def nbytes(self) -> int:
        return self.pixels.nbytes + self.whole.nbytes + self.overlap.nbytes


def cut_objects(
    item: str, image: NDArray[np.uint8], masks: Mask, classes: Integers, scores: Floats, chosen: Mask
) -> list[PoolObject]:
    """Objects of one panorama for the pool.

    Parameters
    ----------
    item : name of the panorama
    image : (H, W, C)
    masks, classes, scores : (N, H, W) bool amodal masks, (N,) int, (N,) float of all its objects
    chosen : (N,) bool, those sure enough for the pool; the others only overlap them

    Returns
    -------
    Chosen objects, in their order, of which no more than half is overlapped by others; empty masks are left out.

    Raises
    ------
    ValueError
        If image and masks are not of one size.
    """
    if masks.shape[1:] != image.shape[:2]:
        raise ValueError(f"{item}: the image is {image.shape[:2]}, the masks are {masks.shape[1:]}")
    claimed = masks.sum(axis=0, dtype=np.int32) > 1
    pool = []
    boxes: Boxes = mask_boxes(masks)
    for index in np.flatnonzero(chosen):
        whole = cut(masks[index], boxes[index])
        overlap = whole & cut(claimed, boxes[index])
        if whole.any() and 2 * np.count_nonzero(overlap) <= np.count_nonzero(whole):
            pixels = cut(image, boxes[index])
            size = (image.shape[0], image.shape[1])
            label, score = int(classes[index]), float(scores[index])
            pool.append(PoolObject(item, size, boxes[index], label, score, pixels, whole, overlap))
    return pool


def surest(pool: Iterable[PoolObject], per_class: int) -> list[PoolObject]:
    """At most ``per_class`` objects of each class, those of the highest score; ties and order by item and place.

    The surest of a union are the surest of the parts' surest, whichever the order, so that a pool can be bound while it is built.
    """
    kept: dict[int, int] = {}
    bound = []
    for one in sorted(pool, key=lambda one: (-one.score, one.item, tuple(one.box.tolist()))):
        kept[one.label] = kept.get(one.label, 0) + 1
        if kept[one.label] <= per_class:
            bound.append(one)
    return bound
