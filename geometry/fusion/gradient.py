"""Take out of a blended depth what the change of views put in: a smooth correction from the views' own gradients.

Where weights pass from one view to the next, a blend slopes by as much as the two views disagree, though neither says so. The
gradient of log distance does not know a view's scale, and varies little with a slow bias of it. So the mean of the views'
gradients, less the blend's own, is the slope that was put in; integrated over the sphere it is the correction.

Across depth edges, sky borders and pixels on which views tell different surfaces nothing is asked: the blend's step stays,
and the correction passes smoothly. It is drawn to zero, by which the blend keeps its scale and its largest features.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from geometry.fusion.depth import pack_log_distance, sample_log_distance
from geometry.resampling.backproject import BackProjection, Band, Box, by_band
from geometry.surfaces.gradients import without_jumps
from geometry.surfaces.poisson import solve_screened_poisson
from geometry.threads import WORKERS

FloatArray = NDArray[np.float32]
BoolArray = NDArray[np.bool_]
TORN = 0.1  # share of the depth edge by which the views' gradients may differ and still be averaged; beyond, their median
SLOPE = 0.4  # per radian: what is asked more steeply than that was a jump in some view, not a slow disagreement


def gradient_correction(
    distance: FloatArray,
    weight: FloatArray,
    views: Sequence[BackProjection],
    depth: FloatArray,
    valid: BoolArray,
    depth_edge: float,
    screen: float,
) -> FloatArray:
    """Factor by which to multiply a blended depth.

    Parameters
    ----------
    distance, weight : (N, h, w) float32
        As in :func:`geometry.fusion.depth.fuse_depth`; the views are on one scale.
    views : N back-projections into one ERP size
    depth : (H, W) float32
        Blended radial distance, positive where ``valid``.
    valid : (H, W) bool
        Where there is a depth and no sky.
    depth_edge : float
        Difference of log distance between two pixels, or between two views of one, that counts as an edge.
    screen : float
        Pull of the correction to zero per steradian: it has features up to an angle of about ``1 / sqrt(screen)`` radians.

    Returns
    -------
    (H, W) float32
        The area-weighted mean of its logarithm is zero.
    """
    log = np.log(np.where(valid, depth, 1), dtype=np.float32)
    right, down = _put_in(distance, weight, views, log, valid, depth_edge)
    correction = solve_screened_poisson(*without_jumps(right, down, SLOPE), np.zeros_like(log), screen)
    return np.exp(correction).astype(np.float32)


def _put_in(
    distance: FloatArray,
    weight: FloatArray,
    views: Sequence[BackProjection],
    log: FloatArray,
    valid: BoolArray,
    depth_edge: float,
) -> tuple[FloatArray, FloatArray]:
    """Slopes to ask of the correction of a blend's log distance (H, W), to the right (H, W) and down (H - 1, W)."""
    height, width = log.shape
    right, down = np.zeros((height, width), np.float32), np.zeros((height, width), np.float32)
    bands = by_band(views)

    def ask_band(number: int) -> None:
        rows, seen = bands[number]
        if not seen:
            return  # nobody looks there, and nothing is asked
        below = bands[number + 1 : number + 2]
        logs, weights = _stack(bands[number], below, packed, width)
        known = slice(rows.start, rows.stop + len(below))
        asked = _asked(logs, weights, log[known], valid[known], depth_edge)
        right[rows], down[rows.start : known.stop - 1] = asked[0][: rows.stop - rows.start], asked[1]

    with ThreadPoolExecutor(WORKERS) as pool:
        packed = list(pool.map(pack_log_distance, distance, weight))
        list(pool.map(ask_band, range(len(bands))))
    return right, down[:-1]


def _stack(band: Band, below: list[Band], packed: list[FloatArray], width: int) -> tuple[FloatArray, FloatArray]:
    """Log distances and weights (views, rows, W) of all views that see a band and the first row of the band below it."""
    rows, pairs = band
    height = rows.stop - rows.start
    boxes = [(number, box, slice(0, height)) for number, box in pairs]
    for _, pairs_below in below:
        boxes += [(number, _first_row(box), slice(height, height + 1)) for number, box in pairs_below]
    place = {number: k for k, number in enumerate(sorted({number for number, _, _ in boxes}))}
    logs, weights = np.zeros((2, len(place), height + len(below), width), np.float32)
    for number, box, at in boxes:
        _, log, weight = sample_log_distance(packed[number], box)
        logs[place[number], at, box.columns], weights[place[number], at, box.columns] = log, weight
    return logs, weights


def _first_row(box: Box) -> Box:
    return Box(slice(box.rows.start, box.rows.start + 1), box.columns, box.pixel[:1], box.dx[:1], box.dy[:1], box.nearness[:1])


def _asked(
    logs: FloatArray, weights: FloatArray, log: FloatArray, valid: BoolArray, depth_edge: float
) -> tuple[FloatArray, FloatArray]:
    """Differences to ask of the correction, to the right (rows, W) and down (rows - 1, W): the views' less the blend's."""
    seen = weights > 0
    high = np.max(logs, axis=0, initial=-np.inf, where=seen)
    low = np.min(logs, axis=0, initial=np.inf, where=seen)
    smooth = valid & (high - low <= depth_edge)
    after = np.roll(logs, -1, axis=2), np.roll(weights, -1, axis=2), np.roll(log, -1, axis=1), np.roll(smooth, -1, axis=1)
    right = _difference((logs, weights, log, smooth), after, depth_edge)
    upper = logs[:, :-1], weights[:, :-1], log[:-1], smooth[:-1]
    lower = logs[:, 1:], weights[:, 1:], log[1:], smooth[1:]
    return right, _difference(upper, lower, depth_edge)


Side = tuple[FloatArray, FloatArray, FloatArray, BoolArray]  # the views' logs and weights, the blend's log, where it is smooth


def _difference(one: Side, other: Side, depth_edge: float) -> FloatArray:
    """What the views say of the step from one pixel to the other, less the blend's step; zero across edges."""
    weight = np.minimum(one[1], other[1])
    step = other[0] - one[0]
    blended = other[2] - one[2]
    total = weight.sum(axis=0)
    inside = one[3] & other[3] & (total > 0) & (np.abs(blended) <= depth_edge)
    said = np.einsum("vrc,vrc->rc", weight, step) / np.where(total > 0, total, 1)
    seen = weight > 0
    differ = np.max(step, axis=0, initial=-np.inf, where=seen) - np.min(step, axis=0, initial=np.inf, where=seen)
    row, column = np.nonzero(inside & (differ > TORN * depth_edge))
    said[row, column] = _weighted_median(step[:, row, column], weight[:, row, column])
    return np.where(inside & (np.abs(said) <= depth_edge), said - blended, 0).astype(np.float32)


def _weighted_median(values: FloatArray, weights: FloatArray) -> FloatArray:
    """The lower weighted median over the first axis; values of no weight have no say."""
    order = np.argsort(values, axis=0, kind="stable")
    heap = np.cumsum(np.take_along_axis(weights, order, axis=0), axis=0)
    middle = np.argmax(heap >= heap[-1:] / 2, axis=0)[None]
    chosen: FloatArray = np.take_along_axis(np.take_along_axis(values, order, axis=0), middle, axis=0)[0]
    return chosen
