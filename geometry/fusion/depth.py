"""Depth of many views into one ERP: a mean within a surface, never across a depth edge.

Inside a view the log distance is rebuilt from the nearest pixel and its slope, where each slope is the smaller of the two
one-sided differences (zero where they disagree in sign). On a surface that is as good as bilinear, beside a depth edge it
leans on the near side only, and it never leaves the range of the pixel and its neighbours. Across views, those that lie on
one surface are averaged; where views disagree by more than ``depth_edge``, the cluster with the largest weight takes it.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from geometry.fusion.consistency import MIN_RIVALRY, TINY, as_bytes, deviation, rivalry
from geometry.resampling.backproject import BackProjection, Band, Box, by_band
from geometry.threads import WORKERS

FloatArray = NDArray[np.float32]
Hit = tuple[Box, FloatArray, FloatArray]  # a box, its log distances, its weights (zero where not seen or not valid)


def fuse_depth(
    distance: FloatArray, weight: FloatArray, views: Sequence[BackProjection], depth_edge: float, consistency_scale: float
) -> tuple[FloatArray, NDArray[np.bool_], NDArray[np.uint8]]:
    """Fuse radial distances.

    Parameters
    ----------
    distance : (N, h, w) float32
        Radial distance, positive and finite where ``weight`` is positive; anything elsewhere.
    weight : (N, h, w) float32
        Not negative; zero marks an invalid pixel.
    views : N back-projections into one ERP size
    depth_edge : float
        Largest difference of log distance within one surface.
    consistency_scale : float
        Standard deviation of log distance at which the consistency is 1/e.

    Returns
    -------
    depth : (H, W) float32
        Zero where not valid.
    valid : (H, W) bool
    consistency : (H, W) uint8
        255 where all views that see a pixel agree, at least 1 where two have a say; 0 where there is nothing to compare.
    """
    shape = (views[0].height, views[0].width)
    depth, count, consistency = np.zeros(shape, np.float32), np.zeros(shape, np.uint8), np.zeros(shape, np.uint8)

    def fuse_band(band: Band) -> None:
        rows, pairs = band
        hits = [sample_log_distance(packed[number], box) for number, box in pairs]
        depth[rows], variance, rivals, count[rows] = _fuse_band((rows.stop - rows.start, shape[1]), hits, depth_edge)
        agreement = np.exp(deviation(variance, rivals) / np.float32(-consistency_scale))
        consistency[rows] = as_bytes(agreement, rivals >= MIN_RIVALRY)

    # Views and bands are independent of each other, and numpy lets go of the interpreter while it works.
    with ThreadPoolExecutor(WORKERS) as pool:
        packed = list(pool.map(pack_log_distance, distance, weight))
        list(pool.map(fuse_band, by_band(views)))
    valid = count > 0
    np.exp(depth, out=depth, where=valid)
    return depth, valid, consistency


def pack_log_distance(distance: FloatArray, weight: FloatArray) -> FloatArray:
    """(h * w + 1, 4) float32 of one view: log distance, its slope per pixel in x and in y, weight; the last row is "not seen"."""
    valid = weight > 0
    log = np.log(distance if valid.all() else np.where(valid, distance, 1), dtype=np.float32)
    packed = np.empty((log.size + 1, 4), np.float32)
    packed[-1] = 0
    for k, channel in enumerate((log, _slope(log, valid), _slope(log.T, valid.T).T, weight)):
        packed[:-1, k].reshape(log.shape)[:] = channel
    return packed


def _slope(values: FloatArray, valid: NDArray[np.bool_]) -> FloatArray:
    """Limited slope along the last axis: the smaller one-sided difference, zero at extrema, beside invalid pixels and at ends."""
    step = np.diff(values, axis=1)
    if not valid.all():
        step *= valid[:, 1:] & valid[:, :-1]
    slope = np.zeros_like(values)
    before, after = step[:, :-1], step[:, 1:]
    smaller = np.where(np.abs(before) < np.abs(after), before, after)
    slope[:, 1:-1] = np.where(before * after > 0, smaller, 0)
    return slope


def sample_log_distance(packed: FloatArray, box: Box) -> Hit:
    """The log distances and weights of one box's pixels, from what :func:`pack_log_distance` made of the view."""
    found = packed.take(box.pixel, axis=0, mode="clip")
    log = found[..., 1] * box.dx
    log += found[..., 2] * box.dy
    log += found[..., 0]
    return box, log, found[..., 3] * box.nearness


def _fuse_band(
    shape: tuple[int, int], hits: list[Hit], depth_edge: float
) -> tuple[FloatArray, FloatArray, FloatArray, NDArray[np.uint8]]:
    """Log distance (zero where there is none), its weighted variance, the views' rivalry, and their number, of one band."""
    total, squares, first, second = np.zeros((4, *shape), np.float32)
    low, high = np.full(shape, np.inf, np.float32), np.full(shape, -np.inf, np.float32)
    count = np.zeros(shape, np.uint8)
    # Moments about the first view's value: squares of small numbers keep their digits in float32.
    origin = np.zeros(shape, np.float32)
    for box, log, weight in hits:
        at = (slice(None), box.columns)
        seen = weight > 0
        np.copyto(origin[at], log, where=seen & (count[at] == 0))
        count[at] += seen
        total[at] += weight
        squares[at] += weight * weight
        np.minimum(low[at], log, out=low[at], where=seen)
        np.maximum(high[at], log, out=high[at], where=seen)
        offset = log - origin[at]
        moment = weight * offset
        first[at] += moment
        moment *= offset
        second[at] += moment
    some = count > 0
    scale: FloatArray = np.reciprocal(np.maximum(total, TINY))
    mean = first * scale
    variance = second * scale - mean * mean
    mean += origin
    # Rounding must not carry the mean outside the values it was made of.
    np.clip(mean, low, high, out=mean)
    np.copyto(mean, 0, where=~some)
    torn = np.flatnonzero(some & (high - low > depth_edge))
    if len(torn):
        mean.ravel()[torn] = _heaviest_cluster(*_gather(hits, torn, count), depth_edge)
    return mean, variance, rivalry(total, squares), count


def _gather(hits: list[Hit], pixels: NDArray[np.intp], count: NDArray[np.uint8]) -> tuple[FloatArray, FloatArray]:
    """Log distances and weights (most views, pixels) of flat ``pixels`` of the band, by views that have a say there.

    ``count`` (rows, W) is their number. A pixel's are in the order of the hits, and what is left over weighs nothing: of many
    views few see one pixel, and what a cluster costs grows with the square of their number.
    """
    row, column = np.divmod(pixels, count.shape[1])
    logs, weights = np.zeros((2, int(count.ravel()[pixels].max()), len(pixels)), np.float32)
    place = np.zeros(len(pixels), np.intp)
    for box, log, weight in hits:
        inside = np.flatnonzero((column >= box.columns.start) & (column < box.columns.stop))
        at = row[inside] * weight.shape[1] + (column[inside] - box.columns.start)
        own = weight.ravel()[at]
        seen = own > 0
        one, at = inside[seen], at[seen]
        logs[place[one], one], weights[place[one], one] = log.ravel()[at], own[seen]
        place[one] += 1
    return logs, weights


def _heaviest_cluster(logs: FloatArray, weights: FloatArray, depth_edge: float) -> FloatArray:
    """Weighted mean of the values within ``depth_edge`` of the value that has the most weight so near to it.

    A tie goes to the nearer surface, which the order of the views cannot change.
    """
    best, centre = np.zeros(logs.shape[1], np.float32), np.zeros(logs.shape[1], np.float32)
    for log, weight in zip(logs, weights):
        support = (weights * (np.abs(logs - log) <= depth_edge)).sum(axis=0)
        better = (weight > 0) & ((support > best * (1 + 1e-5)) | ((support >= best * (1 - 1e-5)) & (log < centre)))
        best, centre = np.where(better, support, best), np.where(better, log, centre)
    member = weights * (np.abs(logs - centre) <= depth_edge)
    return centre + (member * (logs - centre)).sum(axis=0) / member.sum(axis=0)


def strongest_view(distance: FloatArray, weight: FloatArray, views: Sequence[BackProjection]) -> FloatArray:
    """The distance (H, W) float32 that the view of the largest weight gives to each pixel; zero where no view is valid.

    Takes what :func:`fuse_depth` takes. Of equal weights the nearer distance is taken.
    """
    shape = (views[0].height, views[0].width)
    log_depth, best = np.zeros((2, *shape), np.float32)

    def choose(band: Band) -> None:
        for number, box in band[1]:
            _, log, own = sample_log_distance(packed[number], box)
            at = (box.rows, box.columns)
            better = (own > best[at]) | ((own == best[at]) & (own > 0) & (log < log_depth[at]))
            np.copyto(log_depth[at], log, where=better)
            np.copyto(best[at], own, where=better)

    with ThreadPoolExecutor(WORKERS) as pool:
        packed = list(pool.map(pack_log_distance, distance, weight))
        list(pool.map(choose, by_band(views)))
    return np.where(best > 0, np.exp(log_depth), np.float32(0))
