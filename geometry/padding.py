"""ERP images continued beyond their borders, so that neither seam nor poles need a special case.

Columns wrap. Beyond a pole the image goes on with the column half a turn away, its rows mirrored.
"""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

STRIPE = 64  # rows that are filtered at a time: they stay in a core's cache


def pad_sphere(array: NDArray[Any], margin: int) -> NDArray[Any]:
    """Pad an ERP array by ``margin`` pixels on every side.

    Parameters
    ----------
    array : (H, W) or (H, W, C) array of any dtype
        With an odd W no column lies exactly half a turn away, and the rows beyond the poles are half a pixel off.
    margin : int
        At most min(H, W).

    Returns
    -------
    (H + 2 margin, W + 2 margin[, C]) array of the same dtype

    Raises
    ------
    ValueError
        If the margin is negative or larger than the image.
    """
    return sphere_rows(array, -margin, array.shape[0] + margin, margin)


def sphere_rows(array: NDArray[Any], start: int, stop: int, margin: int) -> NDArray[Any]:
    """Rows ``start`` to ``stop`` of an ERP array, which may lie beyond its poles, wrapped by ``margin`` columns on both sides.

    Returns
    -------
    (stop - start, W + 2 margin[, C]) array: a copy
    """
    height, width = array.shape[:2]
    beyond = max(-start, stop - height, margin)
    if margin < 0 or beyond > min(height, width):
        raise ValueError(f"an ERP array of {height}x{width} cannot be continued by {beyond if margin >= 0 else margin} pixels")
    rows = np.empty((stop - start, width + 2 * margin, *array.shape[2:]), dtype=array.dtype)
    inside = rows[:, margin : margin + width]
    first, last = max(start, 0), min(stop, height)
    inside[first - start : last - start] = array[first:last]
    if start < 0:
        inside[:-start] = np.roll(array[:-start][::-1], width // 2, axis=1)
    if stop > height:
        inside[height - start :] = np.roll(array[2 * height - stop :][::-1], width // 2, axis=1)
    if margin:
        rows[:, :margin] = rows[:, width : margin + width]
        rows[:, margin + width :] = rows[:, margin : 2 * margin]
    return rows


def box_filter_sphere(array: NDArray[Any], columns: int, rows: int, margin: int) -> NDArray[Any]:
    """Mean over a box of ``columns`` x ``rows`` pixels on the padded sphere, with as many threads as OpenCV uses.

    An even box cannot be centred on a pixel: its values then belong half a pixel before the pixel (left, or above).

    Parameters
    ----------
    array : (H, W, C) uint8 or float32
    columns, rows : int, from 1 to 3

    Returns
    -------
    (H + 2 margin, W + 2 margin, C) array of the same dtype
    """
    height, width, channels = array.shape
    filtered = np.empty((height + 2 * margin, width + 2 * margin, channels), dtype=array.dtype)

    def filter_stripe(top: int) -> None:
        bottom = min(top + STRIPE, len(filtered))
        block = sphere_rows(array, top - margin - 1, bottom - margin + 1, margin + 1)
        mean = cv2.blur(block, (columns, rows)).reshape(block.shape)
        filtered[top:bottom] = mean[1:-1, 1:-1]

    with ThreadPoolExecutor(max(1, cv2.getNumThreads())) as pool:
        list(pool.map(filter_stripe, range(0, len(filtered), STRIPE)))
    return filtered
