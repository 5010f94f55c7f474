"""The gather list of a layout: for every ERP pixel the view pixels that say something of it, at most a few.

:mod:`geometry.resampling.backproject` goes view by view, as suits a CPU's caches. A GPU goes pixel by pixel: each reads its own
short column of a list, sums in registers, and writes once, so nothing is shared and the sums have one order.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geometry.resampling.backproject import BackProjection

NOBODY = -1
"""Stands in a slot that no view takes."""


@dataclass(frozen=True, eq=False)
class GatherList:
    """Who sees which of M = H * W pixels, in S slots: as many as views see the pixel that most of them see.

    Attributes
    ----------
    pixel : (S, M) int32
        Index into views (N, h, w), flat, of the patch pixel that holds the direction; :data:`NOBODY` in slots that are left over.
        Views stand in a pixel's slots in their order.
    dx, dy : (S, M) float32
        Offset of the direction from that patch pixel's centre, in patch pixels.
    """

    pixel: NDArray[np.int32]
    dx: NDArray[np.float32]
    dy: NDArray[np.float32]


def most_seen(views: Sequence[BackProjection]) -> int:
    """How many of the views see the pixel that most of them see: the slots of their list."""
    return int(_count(views).max())


def gather_list(views: Sequence[BackProjection]) -> GatherList:
    """The list of N views of one patch size into one ERP size."""
    pixels = views[0].height * views[0].width
    slots = max(1, most_seen(views))
    pixel = np.full((slots, pixels), NOBODY, np.int32)
    dx, dy = np.zeros((2, slots, pixels), np.float32)
    taken = np.zeros(pixels, np.intp)
    for number, view in enumerate(views):
        first = number * view.camera.width * view.camera.height
        for box in view.boxes:
            row, column = np.nonzero(view.seen(box))
            at = (row + box.rows.start) * view.width + column + box.columns.start
            slot = taken[at]
            pixel[slot, at] = box.pixel[row, column] + first
            dx[slot, at], dy[slot, at] = box.dx[row, column], box.dy[row, column]
            taken[at] += 1
    return GatherList(pixel, dx, dy)


def _count(views: Sequence[BackProjection]) -> NDArray[np.intp]:
    count = np.zeros((views[0].height, views[0].width), np.intp)
    for view in views:
        for box in view.boxes:
            count[box.rows, box.columns] += view.seen(box)
    return count
