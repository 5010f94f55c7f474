"""The kernel: all fields of views that look at a panorama alike, fused in one pass over the gather list."""

from typing import Any, NamedTuple

import triton
import triton.language as tl

from geometry.device.kernels.depth import fuse_depth
from geometry.device.kernels.normals import fuse_normals
from geometry.device.kernels.semantics import fuse_semantics
from geometry.device.kernels.sky import fuse_sky
from geometry.device.kernels.slots import load_slots


class Fused(NamedTuple):
    """Where results go, each (M[, 3]); those of fields that are not there are never written."""

    views: Any
    depth: Any
    depth_valid: Any
    depth_consistency: Any
    normals: Any
    normals_valid: Any
    normals_agreement: Any
    normals_consistency: Any
    semantics: Any
    semantics_valid: Any
    semantics_confidence: Any
    semantics_consistency: Any
    semantics_runner_up: Any
    sky: Any


@triton.jit
def fuse_kernel(
    look: tl.tuple,
    depth: tl.tuple,
    normals: tl.tuple,
    semantics: tl.tuple,
    sky: tl.tuple,
    out: tl.tuple,
    pixels: tl.tensor,
    patch: tl.tensor,
    width: tl.tensor,
    SLOTS: tl.constexpr,
    RANKS: tl.constexpr,
    OBSERVED: tl.constexpr,
    COUNTED: tl.constexpr,
    DEPTH: tl.constexpr,
    NORMALS: tl.constexpr,
    SEMANTICS: tl.constexpr,
    SKY: tl.constexpr,
    DEPTH_CONFIDENCE: tl.constexpr,
    NORMALS_CONFIDENCE: tl.constexpr,
    NORMALS_SAID: tl.constexpr,
    CAMERA: tl.constexpr,
    SEMANTICS_SAID: tl.constexpr,
    SKY_CLASS: tl.constexpr,
    SINGLE: tl.constexpr,
    EDGE: tl.constexpr,
    SCALE: tl.constexpr,
    THRESHOLD: tl.constexpr,
    LEAST: tl.constexpr,
    BLOCK: tl.constexpr,
) -> None:
    """One program fuses ``BLOCK`` pixels. ``SKY``: "field" votes, "class" is what semantics say, "given" is read, "" is none."""
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = at < pixels
    slots = load_slots(look, at, inside, pixels, patch, SLOTS, OBSERVED)
    land = inside
    if COUNTED:
        count = at * 0
        for slot in tl.static_range(SLOTS):
            count += tl.where(slots[slot][0], 1, 0)
        tl.store(out.views + at, count.to(tl.uint8), mask=inside)
    if SEMANTICS:
        label, valid, share, consistency, runner_up = fuse_semantics(slots, semantics, SLOTS, RANKS, SEMANTICS_SAID, LEAST)
        tl.store(out.semantics + at, label.to(out.semantics.dtype.element_ty), mask=inside)
        tl.store(out.semantics_valid + at, valid.to(tl.uint8), mask=inside)
        tl.store(out.semantics_confidence + at, share, mask=inside)
        tl.store(out.semantics_consistency + at, consistency, mask=inside)
        tl.store(out.semantics_runner_up + at, runner_up.to(out.semantics.dtype.element_ty), mask=inside)
        if SKY == "class":
            is_sky = valid & (label == SKY_CLASS)
            tl.store(out.sky + at, is_sky.to(tl.uint8), mask=inside)
            land = land & (is_sky == 0)
    if SKY == "field":
        is_sky = fuse_sky(slots, sky, SLOTS)
        tl.store(out.sky + at, is_sky.to(tl.uint8), mask=inside)
        land = land & (is_sky == 0)
    if SKY == "given":
        land = land & (tl.load(out.sky + at, mask=inside, other=0) == 0)
    if DEPTH:
        fused, valid, consistency = fuse_depth(slots, depth, patch, width, SLOTS, DEPTH_CONFIDENCE, SINGLE, EDGE, SCALE)
        tl.store(out.depth + at, tl.where(land, fused, 0.0), mask=inside)
        tl.store(out.depth_valid + at, (valid & land).to(tl.uint8), mask=inside)
        tl.store(out.depth_consistency + at, tl.where(land, consistency, 0), mask=inside)
    if NORMALS:
        x, y, z, valid, agreement, consistency = fuse_normals(
            slots, normals, look, patch, SLOTS, NORMALS_CONFIDENCE, NORMALS_SAID, CAMERA, THRESHOLD
        )
        tl.store(out.normals + 3 * at, tl.where(land, x, 0.0), mask=inside)
        tl.store(out.normals + 3 * at + 1, tl.where(land, y, 0.0), mask=inside)
        tl.store(out.normals + 3 * at + 2, tl.where(land, z, 0.0), mask=inside)
        tl.store(out.normals_valid + at, (valid & land).to(tl.uint8), mask=inside)
        tl.store(out.normals_agreement + at, tl.where(land, agreement, 0), mask=inside)
        tl.store(out.normals_consistency + at, tl.where(land, consistency, 0), mask=inside)
