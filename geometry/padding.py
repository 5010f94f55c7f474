"""The sphere pad: an ERP image continued beyond its four borders, so that sampling near seam and poles needs no special case.

Columns wrap. Beyond a pole the image goes on with the column half a turn away, its rows mirrored.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray


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
    height, width = array.shape[:2]
    padded = np.empty((height + 2 * margin, width + 2 * margin, *array.shape[2:]), dtype=array.dtype)
    padded[margin : margin + height, margin : margin + width] = array
    fill_margin(padded, margin)
    return padded


def fill_margin(padded: NDArray[Any], margin: int) -> None:
    """Fill the outer ``margin`` pixels of an array whose inside already holds the ERP image; see :func:`pad_sphere`."""
    height, width = padded.shape[0] - 2 * margin, padded.shape[1] - 2 * margin
    if not 0 <= margin <= min(height, width):
        raise ValueError(f"margin must lie between 0 and the image's smaller side, got {margin} for {height}x{width}")
    if margin == 0:
        return
    inside = padded[:, margin : margin + width]
    inside[:margin] = np.roll(inside[margin : 2 * margin][::-1], width // 2, axis=1)
    inside[margin + height :] = np.roll(inside[height : margin + height][::-1], width // 2, axis=1)
    padded[:, :margin] = padded[:, width : margin + width]
    padded[:, margin + width :] = padded[:, margin : 2 * margin]
