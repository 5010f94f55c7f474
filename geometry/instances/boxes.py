"""Boxes on a panorama: they may run over the seam and go on at column 0.

A box is (top, left, height, width) in pixels, with 0 <= left < W of a panorama W pixels wide; left + width may exceed W.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Boxes = NDArray[np.int64]


def mask_boxes(masks: NDArray[np.bool_], wrap: bool = True) -> Boxes:
    """The narrowest box (N, 4) of each mask (N, H, W); zeros for an empty mask.

    Of two equally narrow ones it is that which does not cross the seam; without ``wrap`` none does.
    """
    boxes = np.zeros((len(masks), 4), np.int64)
    width = masks.shape[2]
    for box, mask in zip(boxes, masks):
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        if not len(rows):
            continue
        # From each column to the next one that is filled; the last goes over the seam.
        steps = np.diff(columns, append=columns[0] + width)
        widest = len(steps) - 1 - (int(steps[::-1].argmax()) if wrap else 0)
        left = columns[(widest + 1) % len(columns)]
        box[:] = rows[0], left, rows[-1] - rows[0] + 1, width - steps[widest] + 1
    return boxes


def cut(array: NDArray[Any], box: NDArray[np.integer]) -> NDArray[Any]:
    """A copy of what lies in a box, (height, width, ...), of an array (H, W, ...)."""
    top, left, height, width = (int(value) for value in box)
    return np.take(array[top : top + height], np.arange(left, left + width), axis=1, mode="wrap")


def overlap(
    box: NDArray[np.integer], window: NDArray[np.integer], panorama_width: int
) -> list[tuple[slice, slice, slice, slice]]:
    """Where a box and a window, both boxes, share pixels: (rows, columns) of the box, then (rows, columns) of the window.

    None, one or two parts: a box that crosses the seam can show at both ends of a window as wide as the panorama.
    """
    top, bottom = max(box[0], window[0]), min(box[0] + box[2], window[0] + window[2])
    parts = []
    for turn in (-panorama_width, 0, panorama_width):
        start = max(box[1] + turn, window[1])
        stop = min(box[1] + turn + box[3], window[1] + window[3])
        if bottom > top and stop > start:
            rows, columns = (int(top), int(bottom)), (int(start), int(stop))
            parts.append(
                (
                    slice(rows[0] - int(box[0]), rows[1] - int(box[0])),
                    slice(columns[0] - int(box[1]) - turn, columns[1] - int(box[1]) - turn),
                    slice(rows[0] - int(window[0]), rows[1] - int(window[0])),
                    slice(columns[0] - int(window[1]), columns[1] - int(window[1])),
                )
            )
    return parts
