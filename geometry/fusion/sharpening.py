"""Depth edges that a teacher blurred, made sharp again before its views are fused.

A network's depth passes from one surface to the next over a few pixels, whose distances are those of no surface. Such a ramp has
plateaus on both sides, which tells it from a slope: twice as wide a window holds little more range. Its pixels take the
distance of the nearer plateau (as a shock filter does), so that the edge lies where the ramp was half way.

Thin and broken surfaces look like ramps too, here and there. What tells a teacher that blurs is that nearly all its edges do:
with sharp edges, pixels half way are few. So either the ramps of all views are mended, or none.
"""

from concurrent.futures import ThreadPoolExecutor
from functools import partial

import cv2
import numpy as np
from numpy.typing import NDArray

from geometry.threads import WORKERS

FloatArray = NDArray[np.float32]
BoolArray = NDArray[np.bool_]
Ramps = tuple[NDArray[np.intp], FloatArray, int]  # flat pixels, the log distances that they should have, how many are half way
FLANK = 1.7  # a window that is twice as wide holds this much more range at most; on a slope it is 2
HALF_WAY = (0.2, 0.8)  # share of a ramp's range
BLURRED = {2: 0.93, 1: 0.8}
"""Half of a ramp's width in pixels, the widest first -> share of the pixels at edges that are half way, from which on a teacher
is held to blur so widely. Sharp edges have 0.2 to 0.7; a wide window finds more, in narrow ramps too."""


def sharpened(distance: FloatArray, usable: BoolArray, depth_edge: float, said: BoolArray | None = None) -> FloatArray:
    """Distances of all views of a panorama without blurred edges; the array that was given where there are none.

    Parameters
    ----------
    distance : (N, h, w) float32
        Positive where ``usable`` or ``said``.
    usable : (N, h, w) bool
        What is to be mended.
    depth_edge : float
        Least range of log distance across an edge.
    said : (N, h, w) bool, optional
        All that has a distance, the sky too, against which edges of land are blurred as well; ``usable`` if not given.

    Returns
    -------
    (N, h, w) float32
    """
    said = usable if said is None else said
    with ThreadPoolExecutor(WORKERS) as pool:
        for radius, least in BLURRED.items():
            ramps = list(pool.map(partial(_ramps, depth_edge=depth_edge, radius=radius), distance, usable, said))
            if sum(half_way for _, _, half_way in ramps) > least * sum(len(pixels) for pixels, _, _ in ramps):
                distance = distance.copy()
                for view, (pixels, logs, _) in zip(distance, ramps):
                    view.ravel()[pixels] = np.exp(logs)
    return distance


def _ramps(distance: FloatArray, usable: BoolArray, said: BoolArray, depth_edge: float, radius: int) -> Ramps:
    log = np.log(np.where(said, distance, 1), dtype=np.float32)
    low, high = _range(log, said, radius)
    low_around, high_around = _range(log, said, 2 * radius)
    size = high - low
    pixels = np.flatnonzero(usable & (size > depth_edge) & (high_around - low_around < FLANK * size))
    value, nearest, farthest = (one.ravel()[pixels] for one in (log, low, high))
    share = (value - nearest) / (farthest - nearest)
    half_way = int(((share > HALF_WAY[0]) & (share < HALF_WAY[1])).sum())
    # Where the far side is the sky, the pixel, which is land, belongs to the near one.
    beyond = farthest > _range(log, usable, radius)[1].ravel()[pixels] if (said & ~usable).any() else False
    return pixels, np.where((share < 0.5) | beyond, nearest, farthest), half_way


def _range(log: FloatArray, usable: BoolArray, radius: int) -> tuple[FloatArray, FloatArray]:
    """Least and greatest value within ``radius`` pixels; what is not usable has no part."""
    window, beyond = np.ones((2 * radius + 1, 2 * radius + 1), np.uint8), np.float32(1e9)
    low = cv2.erode(np.where(usable, log, beyond), window)
    high = cv2.dilate(np.where(usable, log, -beyond), window)
    return np.asarray(low, np.float32), np.asarray(high, np.float32)
