"""ERP images continued beyond their borders, so that neither seam nor poles need a special case.

Columns wrap. Beyond a pole the image goes on with the column half a turn away, its rows mirrored.
"""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from geometry.threads import scratch


def pad_sphere(array: NDArray[Any], margin: int) -> NDArray[Any]:
    """Pad an ERP array by ``margin`` pixels on every side.

    Parameters
    ----------
    array : (H, W) or (H, W, C) array of any dtype
        With an odd W no column lies exactly half a turn away, and the rows beyond the poles are half a pixel off.
    margin : int
        Not negative. A margin of more than the image goes round it more than once.

    Returns
    -------
    (H + 2 margin, W + 2 margin[, C]) array of the same dtype

    Raises
    ------
    ValueError
        If the margin is negative, or the image has no pixels.
    """
    return sphere_rows(array, -margin, array.shape[0] + margin, margin)


def sphere_rows(array: NDArray[Any], start: int, stop: int, margin: int, out: NDArray[Any] | None = None) -> NDArray[Any]:
    """Rows ``start`` to ``stop`` of an ERP array, which may lie beyond its poles, wrapped by ``margin`` columns on both sides.

    Returns
    -------
    (stop - start, W + 2 margin[, C]) array: a copy, in ``out`` where given
    """
    height, width = array.shape[:2]
    if margin < 0 or not (height and width):
        raise ValueError(f"an ERP array of {height}x{width} cannot be continued by {margin} pixels")
    rows = np.empty((stop - start, width + 2 * margin, *array.shape[2:]), dtype=array.dtype) if out is None else out
    inside = rows[:, margin : margin + width]
    if start < -height or stop > 2 * height or start > height or stop < 0:
        source, beyond = rows_round_the_poles(start, stop, height)
        inside[:] = array[source]
        inside[beyond] = np.roll(inside[beyond], width // 2, axis=1)
    else:
        first, last = max(start, 0), min(stop, height)
        inside[first - start : last - start] = array[first:last]
        if start < 0:
            inside[:-start] = np.roll(array[:-start][::-1], width // 2, axis=1)
        if stop > height:
            inside[height - start :] = np.roll(array[2 * height - stop :][::-1], width // 2, axis=1)
    if margin > width:
        rows[:] = inside[:, np.arange(-margin, width + margin) % width]
    elif margin:
        rows[:, :margin] = rows[:, width : margin + width]
        rows[:, margin + width :] = rows[:, margin : 2 * margin]
    return rows


def rows_round_the_poles(start: int, stop: int, height: int) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """Where the rows ``start`` to ``stop`` of a sphere that goes on for ever lie in an image, and whether half a turn away.

    A meridian and the one behind it make a circle of twice as many rows as the image has.
    """
    round_the_circle = np.arange(start, stop) % (2 * height)
    beyond = round_the_circle >= height
    return np.where(beyond, 2 * height - 1 - round_the_circle, round_the_circle), beyond


def binomial_sphere(array: NDArray[Any], taps: int, margin: int) -> NDArray[Any]:
    """The padded sphere, smoothed by a binomial kernel of ``taps`` x ``taps`` pixels: 1 (none), 1 2 1 or 1 4 6 4 1.

    Parameters
    ----------
    array : (H, W, C) uint8 or float32
    taps : 1, 3 or 5
    margin : int

    Returns
    -------
    (H + 2 margin, W + 2 margin, C) array of the same dtype, in :func:`geometry.threads.scratch`: this thread's next call
    overwrites it.
    """
    height, width, channels = array.shape
    smooth = scratch("smooth", (height + 2 * margin, width + 2 * margin, channels), array.dtype)
    if taps == 1:
        return sphere_rows(array, -margin, height + margin, margin, smooth)
    reach = taps // 2
    near = reach + margin
    if near + reach > min(height, width):  # of an image that its own borders go round
        whole = sphere_rows(array, -near, height + near, near)
        smooth[:] = _binomial(whole, taps, np.empty_like(whole))[reach:-reach, reach:-reach]
        return smooth
    _binomial(array, taps, smooth[margin : margin + height, margin : margin + width])  # right but for its borders
    # The seam: the last and the first columns side by side.
    seam = np.concatenate([array[:, -near - reach :], array[:, : near + reach]], axis=1)
    across = _binomial(seam, taps, np.empty_like(seam))[:, reach:-reach]
    smooth[margin : margin + height, : margin + near] = across[:, near - margin :]
    smooth[margin : margin + height, width + margin - near :] = across[:, : near + margin]
    for start, stop in ((-margin, reach), (height - reach, height + margin)):  # the poles
        block = sphere_rows(array, start - reach, stop + reach, margin + reach)
        smooth[start + margin : stop + margin] = _binomial(block, taps, np.empty_like(block))[reach:-reach, reach:-reach]
    return smooth


def _binomial(array: NDArray[Any], taps: int, result: NDArray[Any]) -> NDArray[Any]:
    """Smooth a flat image into ``result``. Rows and columns in turn: on a large image twice as fast as one call for both."""
    across = scratch("across", array.shape, array.dtype)
    cv2.GaussianBlur(array, (taps, 1), 0, dst=across)
    cv2.GaussianBlur(across, (1, taps), 0, dst=result)
    return result
