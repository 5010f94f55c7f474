"""What stands in the slots of a gather list, and the tables that go with it."""

from typing import Any, NamedTuple

import triton
import triton.language as tl


class Look(NamedTuple):
    """A gather list and the tables of its views, as :class:`geometry.device.views.DeviceViews` holds them."""

    pixel: Any
    dx: Any
    dy: Any
    of_view: Any
    """(N,) int32: which of the tables below are a view's."""
    geometric: Any
    """(T, h * w) float32"""
    rays: Any
    """(T, h * w, 3) float32"""
    rotation: Any
    """(N, 9) float32"""
    observed: Any
    """(M,) uint8, looked at where ``OBSERVED``."""


@triton.jit
def load_slots(
    look: tl.tuple,
    at: tl.tensor,
    inside: tl.tensor,
    pixels: tl.tensor,
    patch: tl.tensor,
    SLOTS: tl.constexpr,
    OBSERVED: tl.constexpr,
) -> Any:
    """Of every slot (whether a view sees the ERP pixels ``at``, its patch pixel, dx, dy, nearness, geometric weight)."""
    there = inside
    if OBSERVED:
        there = there & (tl.load(look.observed + at, mask=inside, other=0) != 0)
    slots = ()
    for slot in tl.static_range(SLOTS):
        place = slot * pixels + at
        p = tl.load(look.pixel + place, mask=there, other=-1)
        seen = p >= 0
        p = tl.where(seen, p, 0)
        dx = tl.load(look.dx + place, mask=seen, other=0.0)
        dy = tl.load(look.dy + place, mask=seen, other=0.0)
        near = (1.0 - tl.abs(dx)) * (1.0 - tl.abs(dy))
        near = near * near
        geometric = tl.load(look.geometric + table_pixel(look, p, patch), mask=seen, other=0.0)
        slots = slots + ((seen, p, dx, dy, near, geometric),)
    return slots


@triton.jit
def table_pixel(look: tl.tuple, p: tl.tensor, patch: tl.tensor) -> Any:
    """Where the patch pixels ``p`` stand in the tables of their views."""
    view = p // patch
    return tl.load(look.of_view + view) * patch + (p - view * patch)


@triton.jit
def finite(x: tl.tensor) -> Any:
    """Neither infinite nor not a number."""
    return tl.abs(x) <= 3.4028234663852886e38
