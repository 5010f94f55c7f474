"""Radial distances of views from what a teacher says of its depth, pixel by pixel of the patches: before views meet.

Fusion reads five of them for each entry of the gather list, and fits of scales and bends read them before: so they are made once.
"""

import triton
import triton.language as tl

from geometry.device.kernels.depth import sample_log
from geometry.device.kernels.slots import finite

SMALLEST, LARGEST = tl.constexpr(2.0**-14), tl.constexpr(65504.0)
"""What float16 holds with all its digits."""


@triton.jit
def radial_kernel(
    values: tl.tensor,
    valid: tl.tensor,
    cosine: tl.tensor,
    of_view: tl.tensor,
    factor: tl.tensor,
    out: tl.tensor,
    total: tl.tensor,
    patch: tl.tensor,
    AXIS: tl.constexpr,
    INVERSE: tl.constexpr,
    SHARES: tl.constexpr,
    BLOCK: tl.constexpr,
) -> None:
    """Distances along the ray, zero where there is none; inverse distances, not a number where there is none.

    ``AXIS``: what was said is along the optical axis. ``SHARES``: it is in units of each view's ``factor``.
    """
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = at < total
    view = tl.where(inside, at // patch, 0)
    d = tl.load(values + at, mask=inside, other=0.0).to(tl.float32)
    told = inside & (tl.load(valid + at, mask=inside, other=0) != 0)
    if SHARES:
        d = d * tl.load(factor + view)
    if AXIS:
        cos = tl.load(cosine + tl.load(of_view + view) * patch + (at - view * patch), mask=inside, other=1.0)
        if INVERSE:
            d = d * cos
        else:
            d = tl.div_rn(d, cos)
    if INVERSE:
        d = tl.where(told & finite(d), d, float("nan"))
    else:
        d = tl.where(told & finite(d) & (d > 0), d, 0.0)
    tl.store(out + at, d, mask=inside)


@triton.jit
def stored_kernel(distance: tl.tensor, factor: tl.tensor, total: tl.tensor, patch: tl.tensor, BLOCK: tl.constexpr) -> None:
    """Distances as they would come back from the store: float16 shares of each view's ``factor``, in place."""
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = at < total
    own = tl.load(factor + tl.where(inside, at // patch, 0))
    share = tl.div_rn(tl.load(distance + at, mask=inside, other=0.0), own)
    kept = (share >= SMALLEST) & (share <= LARGEST)
    tl.store(distance + at, tl.where(kept, share.to(tl.float16).to(tl.float32) * own, 0.0), mask=inside)


@triton.jit
def uninverted_kernel(
    inverse: tl.tensor,
    cosine: tl.tensor,
    of_view: tl.tensor,
    affine: tl.tensor,
    total: tl.tensor,
    patch: tl.tensor,
    BLOCK: tl.constexpr,
) -> None:
    """Distances from inverse ones, in place, by each view's factor and offset, ``affine`` (N, 2)."""
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = at < total
    view = tl.where(inside, at // patch, 0)
    cos = tl.load(cosine + tl.load(of_view + view) * patch + (at - view * patch), mask=inside, other=1.0)
    u = tl.load(inverse + at, mask=inside, other=0.0)
    u = tl.load(affine + 2 * view) * u + tl.load(affine + 2 * view + 1) * cos
    some = u > 2.938735877055719e-39
    tl.store(inverse + at, tl.where(some, tl.div_rn(1.0, tl.where(some, u, 1.0)), 0.0), mask=inside)


@triton.jit
def bent_kernel(
    distance: tl.tensor,
    terms: tl.tensor,
    bends: tl.tensor,
    total: tl.tensor,
    patch: tl.tensor,
    TERMS: tl.constexpr,
    BLOCK: tl.constexpr,
) -> None:
    """Distances times the exponential of each view's own mixture, ``bends`` (N, TERMS), of ``terms`` (TERMS, h * w), in place."""
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = at < total
    view = tl.where(inside, at // patch, 0)
    bend = view.to(tl.float64) * 0.0
    for term in tl.static_range(TERMS):
        value = tl.load(terms + term * patch + (at - view * patch), mask=inside, other=0.0)
        bend += tl.load(bends + TERMS * view + term) * value
    d = tl.load(distance + at, mask=inside, other=0.0)
    tl.store(distance + at, (d.to(tl.float64) * tl.exp(bend)).to(tl.float32), mask=inside)


@triton.jit
def coarse_kernel(
    distance: tl.tensor,
    pixel: tl.tensor,
    dx: tl.tensor,
    dy: tl.tensor,
    out: tl.tensor,
    total: tl.tensor,
    patch: tl.tensor,
    width: tl.tensor,
    LOG: tl.constexpr,
    BLOCK: tl.constexpr,
) -> None:
    """What views say at some directions: log distances with their slopes if ``LOG``, else the nearest value."""
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = at < total
    p = tl.load(pixel + at, mask=inside, other=0)
    if LOG:
        x, y = tl.load(dx + at, mask=inside, other=0.0), tl.load(dy + at, mask=inside, other=0.0)
        log, told = sample_log(distance, inside, p, x, y, patch, width)
        tl.store(out + at, tl.where(told, log, float("nan")), mask=inside)
    else:
        tl.store(out + at, tl.load(distance + p, mask=inside, other=0.0), mask=inside)
