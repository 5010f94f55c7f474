"""Depth of one block of ERP pixels: :mod:`geometry.fusion.depth`, with a pixel's few views in registers."""

from typing import Any, NamedTuple

import triton
import triton.language as tl

from geometry.device.kernels.measures import TINY, as_bytes, deviation, rivalry, trusted


class Depth(NamedTuple):
    """``distance`` (N, h, w) float32, radial and on one scale, zero where there is none or it is not trusted."""

    distance: Any
    confidence: Any


@triton.jit
def sample_log(
    distance: tl.tensor, seen: tl.tensor, p: tl.tensor, dx: tl.tensor, dy: tl.tensor, patch: tl.tensor, width: tl.tensor
) -> Any:
    """Log distance at a direction, from the nearest pixel and its limited slopes; and whether there is one."""
    q = p % patch
    j = q % width
    log, told = _log_at(distance, p, seen)
    across = _slope(distance, p, 1, log, told, seen & (j > 0) & (j < width - 1))
    down = _slope(distance, p, width, log, told, seen & (q >= width) & (q < patch - width))
    return across * dx + down * dy + log, told


@triton.jit
def _log_at(distance: tl.tensor, p: tl.tensor, seen: tl.tensor) -> Any:
    d = tl.load(distance + p, mask=seen, other=0.0)
    told = d > 0
    return tl.log(tl.where(told, d, 1.0)), told


@triton.jit
def _slope(distance: tl.tensor, p: tl.tensor, step: tl.tensor, log: tl.tensor, told: tl.tensor, inner: tl.tensor) -> Any:
    """The smaller one-sided difference, zero at extrema, beside pixels without a distance and at a patch's ends."""
    log_before, told_before = _log_at(distance, p - step, inner)
    log_after, told_after = _log_at(distance, p + step, inner)
    before = tl.where(told & told_before, log - log_before, 0.0)
    after = tl.where(told & told_after, log_after - log, 0.0)
    smaller = tl.where(tl.abs(before) < tl.abs(after), before, after)
    return tl.where(before * after > 0, smaller, 0.0)


@triton.jit
def fuse_depth(
    slots: tl.tuple,
    depth: tl.tuple,
    patch: tl.tensor,
    width: tl.tensor,
    SLOTS: tl.constexpr,
    CONFIDENCE: tl.constexpr,
    SINGLE: tl.constexpr,
    EDGE: tl.constexpr,
    SCALE: tl.constexpr,
) -> Any:
    """Depth, whether there is one, and its consistency."""
    logs, weights = (), ()
    for slot in tl.static_range(SLOTS):
        seen, p, dx, dy, near, geometric = slots[slot]
        log, told = sample_log(depth.distance, seen, p, dx, dy, patch, width)
        weight = trusted(depth.confidence, p, seen, CONFIDENCE) * geometric
        logs = logs + (log,)
        weights = weights + (tl.where(told, weight, 0.0) * near,)
    mean, variance, rivals, some, torn = _moments(logs, weights, SLOTS, EDGE)
    mean = tl.where(torn, _heaviest_cluster(logs, weights, SLOTS, EDGE), mean)
    agreement = tl.exp(tl.div_rn(deviation(variance, rivals), -SCALE))
    if SINGLE:
        mean = _strongest(logs, weights, SLOTS)
    fused = tl.exp(mean.to(tl.float64)).to(tl.float32)  # once a pixel; the quick one of float32 errs by 1e-6
    return tl.where(some, fused, 0.0), some, as_bytes(agreement, rivals >= 0.02)


@triton.jit
def _moments(logs: tl.tuple, weights: tl.tuple, SLOTS: tl.constexpr, EDGE: tl.constexpr) -> Any:
    """Mean, variance, rivalry, whether any view has a say, and whether these tell two surfaces."""
    zero = logs[0] * 0.0
    total, squares, first, second, origin = zero, zero, zero, zero, zero
    low, high = zero + float("inf"), zero - float("inf")
    some = zero > 0
    for slot in tl.static_range(SLOTS):
        log, weight = logs[slot], weights[slot]
        seen = weight > 0
        origin = tl.where(seen & (some == 0), log, origin)
        some = some | seen
        total += weight
        squares += weight * weight
        low = tl.where(seen, tl.minimum(low, log), low)
        high = tl.where(seen, tl.maximum(high, log), high)
        moment = weight * (log - origin)
        first += moment
        second += moment * (log - origin)
    scale = tl.div_rn(1.0, tl.maximum(total, TINY))
    mean = first * scale
    variance = second * scale - mean * mean
    mean = tl.minimum(tl.maximum(mean + origin, low), high)
    return tl.where(some, mean, 0.0), variance, rivalry(total, squares), some, some & (high - low > EDGE)


@triton.jit
def _heaviest_cluster(logs: tl.tuple, weights: tl.tuple, SLOTS: tl.constexpr, EDGE: tl.constexpr) -> Any:
    best, centre = logs[0] * 0.0, logs[0] * 0.0
    for slot in tl.static_range(SLOTS):
        log = logs[slot]
        support = log * 0.0
        for other in tl.static_range(SLOTS):
            support += tl.where(tl.abs(logs[other] - log) <= EDGE, weights[other], 0.0)
        level = (support >= best * (1 - 1e-5)) & (log < centre)
        better = (weights[slot] > 0) & ((support > best * (1 + 1e-5)) | level)
        best, centre = tl.where(better, support, best), tl.where(better, log, centre)
    total, first = best * 0.0, best * 0.0
    for slot in tl.static_range(SLOTS):
        member = tl.where(tl.abs(logs[slot] - centre) <= EDGE, weights[slot], 0.0)
        first += member * (logs[slot] - centre)
        total += member
    return centre + tl.div_rn(first, tl.maximum(total, TINY))


@triton.jit
def _strongest(logs: tl.tuple, weights: tl.tuple, SLOTS: tl.constexpr) -> Any:
    best, found = logs[0] * 0.0, logs[0] * 0.0
    for slot in tl.static_range(SLOTS):
        log, own = logs[slot], weights[slot]
        better = (own > best) | ((own == best) & (own > 0) & (log < found))
        best, found = tl.where(better, own, best), tl.where(better, log, found)
    return found
