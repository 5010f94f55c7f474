"""Normals of one block of ERP pixels: the mean of the views' unit vectors, in the world's frame."""

from typing import Any, NamedTuple

import triton
import triton.language as tl

from geometry.device.kernels.measures import (
    ANGLE_SCALE,
    MIN_RIVALRY,
    TINY,
    as_bytes,
    pair_angle,
    rivalry,
    share_as_byte,
    trusted,
)
from geometry.device.kernels.slots import finite, table_pixel


class Normals(NamedTuple):
    """``vectors`` (N, h, w, 3) float32, or float16 as stored; ``valid`` (N, h, w) uint8; ``confidence`` like that of depth."""

    vectors: Any
    valid: Any
    confidence: Any


@triton.jit
def fuse_normals(
    slots: tl.tuple,
    normals: tl.tuple,
    look: tl.tuple,
    patch: tl.tensor,
    SLOTS: tl.constexpr,
    CONFIDENCE: tl.constexpr,
    SAID: tl.constexpr,
    CAMERA: tl.constexpr,
    THRESHOLD: tl.constexpr,
) -> Any:
    """Components of the unit normal, whether it is valid, agreement and consistency in bytes.

    ``SAID``: vectors are as a teacher said them, in the camera's frame if ``CAMERA``, and are to be those that would be stored.
    """
    zero = slots[0][4] * 0.0
    x, y, z, total, squares = zero, zero, zero, zero, zero
    for slot in tl.static_range(SLOTS):
        seen, p, _, _, near, geometric = slots[slot]
        own_x, own_y, own_z = _load_vector(normals.vectors, p, seen)
        told = seen & (tl.load(normals.valid + p, mask=seen, other=0) != 0)
        if SAID:
            own_x, own_y, own_z, told = _canonical(own_x, own_y, own_z, told, look, p, seen, patch, CAMERA)
        told = told & finite(own_x) & finite(own_y) & finite(own_z)
        weight = tl.where(told, trusted(normals.confidence, p, seen, CONFIDENCE) * geometric, 0.0)
        x += tl.where(told, own_x * weight, 0.0) * near
        y += tl.where(told, own_y * weight, 0.0) * near
        z += tl.where(told, own_z * weight, 0.0) * near
        weight = weight * near
        total += weight
        squares += weight * weight
    length = tl.sqrt_rn(x * x + y * y + z * z)
    agree = tl.div_rn(length, tl.maximum(total, TINY))
    valid = (total > 0) & (agree > THRESHOLD)
    scale = tl.div_rn(tl.where(valid, 1.0, 0.0), tl.maximum(length, TINY))
    rivals = rivalry(total, squares)
    alike = tl.exp(pair_angle(agree, rivals) * (-1 / ANGLE_SCALE))
    return x * scale, y * scale, z * scale, valid, share_as_byte(agree), as_bytes(alike, rivals >= MIN_RIVALRY)


@triton.jit
def _load_vector(vectors: tl.tensor, p: tl.tensor, seen: tl.tensor) -> Any:
    x = tl.load(vectors + 3 * p, mask=seen, other=0.0).to(tl.float32)
    y = tl.load(vectors + 3 * p + 1, mask=seen, other=0.0).to(tl.float32)
    z = tl.load(vectors + 3 * p + 2, mask=seen, other=0.0).to(tl.float32)
    return x, y, z


@triton.jit
def _canonical(
    x: tl.tensor,
    y: tl.tensor,
    z: tl.tensor,
    told: tl.tensor,
    look: tl.tuple,
    p: tl.tensor,
    seen: tl.tensor,
    patch: tl.tensor,
    CAMERA: tl.constexpr,
) -> Any:
    """The unit vector in the world's frame that faces the camera, rounded as it would be stored, and whether there is one."""
    if CAMERA:
        x, y, z = _turn(look.rotation, p // patch, x, y, z)
    ray_x, ray_y, ray_z = _load_vector(look.rays, table_pixel(look, p, patch), seen)
    ray_x, ray_y, ray_z = _turn(look.rotation, p // patch, ray_x, ray_y, ray_z)
    length = tl.sqrt_rn(x * x + y * y + z * z)
    told = told & finite(length) & (length > 1e-6)
    length = tl.where(told, length, 1.0)
    towards = tl.where(x * ray_x + y * ray_y + z * ray_z > 0, -length, length)
    return _as_stored(x, towards), _as_stored(y, towards), _as_stored(z, towards), told


@triton.jit
def _as_stored(component: tl.tensor, length: tl.tensor) -> Any:
    return tl.div_rn(component, length).to(tl.float16).to(tl.float32)


@triton.jit
def _turn(rotation: tl.tensor, view: tl.tensor, x: tl.tensor, y: tl.tensor, z: tl.tensor) -> Any:
    at = rotation + 9 * view
    return _row(at, x, y, z), _row(at + 3, x, y, z), _row(at + 6, x, y, z)


@triton.jit
def _row(at: tl.tensor, x: tl.tensor, y: tl.tensor, z: tl.tensor) -> Any:
    """One row of a matrix times a vector, in the fused steps that BLAS takes: products of float32 are exact in float64."""
    a, b, c = tl.load(at).to(tl.float64), tl.load(at + 1).to(tl.float64), tl.load(at + 2).to(tl.float64)
    first = (a * x.to(tl.float64)).to(tl.float32)
    second = (b * y.to(tl.float64) + first.to(tl.float64)).to(tl.float32)
    return (c * z.to(tl.float64) + second.to(tl.float64)).to(tl.float32)
