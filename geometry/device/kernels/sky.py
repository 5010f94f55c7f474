"""Sky of one block of ERP pixels: where most of the views' weight says so."""

from typing import Any, NamedTuple

import triton
import triton.language as tl

from geometry.device.kernels.slots import finite


class Sky(NamedTuple):
    """``probabilities`` (N, h, w) float32 or float16; ``valid`` (N, h, w) uint8."""

    probabilities: Any
    valid: Any


@triton.jit
def fuse_sky(slots: tl.tuple, sky: tl.tuple, SLOTS: tl.constexpr) -> Any:
    """Whether pixels are sky."""
    votes, total = slots[0][4] * 0.0, slots[0][4] * 0.0
    for slot in tl.static_range(SLOTS):
        seen, p, _, _, near, geometric = slots[slot]
        value = tl.load(sky.probabilities + p, mask=seen, other=0.0).to(tl.float32)
        told = seen & (tl.load(sky.valid + p, mask=seen, other=0) != 0) & finite(value)
        weight = tl.where(told, geometric, 0.0)
        votes += tl.where(told, value * weight, 0.0) * near
        total += weight * near
    return (total > 0) & (votes >= 0.5 * total)
