"""How far views agree, in bytes: :mod:`geometry.fusion.consistency`, operation by operation."""

from typing import Any

import triton
import triton.language as tl

TINY: tl.constexpr = tl.constexpr(1e-30)
MIN_RIVALRY: tl.constexpr = tl.constexpr(0.02)
MIN_WEIGHT_ENTROPY: tl.constexpr = tl.constexpr(0.056)
ANGLE_SCALE: tl.constexpr = tl.constexpr(0.3490658503988659)


@triton.jit
def rivalry(total: tl.tensor, squares: tl.tensor) -> Any:
    pairs = total * total
    return tl.div_rn(pairs - squares, tl.maximum(pairs, TINY))


@triton.jit
def deviation(variance: tl.tensor, rivals: tl.tensor) -> Any:
    spread = tl.div_rn(variance, tl.maximum(rivals, MIN_RIVALRY))
    return tl.sqrt_rn(tl.maximum(spread, 0.0))


@triton.jit
def pair_angle(length: tl.tensor, rivals: tl.tensor) -> Any:
    cosine = 1.0 - tl.div_rn(1.0 - length * length, tl.maximum(rivals, MIN_RIVALRY))
    return arc_cosine(tl.minimum(tl.maximum(cosine, -1.0), 1.0))


@triton.jit
def arc_cosine(x: tl.tensor) -> Any:
    """To 1e-7 radians (Abramowitz and Stegun 4.4.46); the language has none of its own."""
    a = tl.abs(x)
    sum = -0.0012624911 * a + 0.0066700901
    sum = sum * a - 0.0170881256
    sum = sum * a + 0.0308918810
    sum = sum * a - 0.0501743046
    sum = sum * a + 0.0889789874
    sum = sum * a - 0.2145988016
    sum = (sum * a + 1.5707963050) * tl.sqrt_rn(1.0 - a)
    return tl.where(x < 0, 3.141592653589793 - sum, sum)


@triton.jit
def log_terms(values: tl.tensor) -> Any:
    """``v log v``, zero at zero."""
    return tl.log(tl.maximum(values, TINY)) * values


@triton.jit
def as_bytes(consistency: tl.tensor, judged: tl.tensor) -> Any:
    steps = tl.minimum(tl.maximum(consistency * 255.0 + 0.5, 1.0), 255.0)
    return tl.where(judged, steps, 0.0).to(tl.uint8)


@triton.jit
def share_as_byte(share: tl.tensor) -> Any:
    return (tl.minimum(tl.maximum(share, 0.0), 1.0) * 255.0 + 0.5).to(tl.uint8)


@triton.jit
def trusted(confidence: tl.tensor, p: tl.tensor, seen: tl.tensor, CONFIDENCE: tl.constexpr) -> Any:
    """A teacher's confidence of pixels: 1 where it gives none, 0 where it is no positive number."""
    trust = tl.where(seen, 1.0, 0.0)
    if CONFIDENCE:
        trust = tl.load(confidence + p, mask=seen, other=0).to(tl.float32)
        if confidence.dtype.element_ty == tl.uint8:
            trust = tl.div_rn(trust, 255.0)
        trust = tl.where((trust > 0) & (trust <= 3.4028234663852886e38), trust, 0.0)
    return trust
