"""One small panorama, fused by numpy and by the kernels: drivers, compilers and chips are more than any test has met."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from geometry.cameras import Camera
from geometry.device.fields import upload
from geometry.device.fuse import fuse_on_device
from geometry.fields import Field
from geometry.fusion.fuse import FusionSettings, fuse
from geometry.layouts import cubemap

HEIGHT, PATCH = 32, 16
SETTINGS = FusionSettings(depth="align", classes=8)
HALF_SIZES = np.array([2.0, 1.4, 3.1])
"""Of the room, in metres, whose centre the panorama sees."""
TOLERANCE = 1e-5
"""Of numbers: what another order of rounding changes is a tenth of it."""
BYTES_OFF = 0.01
"""Share of a map's pixels, here of few, whose byte may be the next one."""


@cache
def disagreement(device: str) -> str:
    """The label that a device fuses otherwise than numpy does; empty if there is none.

    Masks, counts and classes have to be equal; distances and normals within 1e-5; bytes of consistency, agreement and confidence
    may be the next one at a hundredth of the pixels.
    """
    cameras = cubemap(PATCH, np.radians(110))
    fields = _room(cameras)
    views: dict[str, Sequence[Camera]] = dict.fromkeys(fields, cameras)
    size = HEIGHT, 2 * HEIGHT
    wanted = fuse(fields, views, *size, SETTINGS)
    uploaded = {name: upload(field, device) for name, field in fields.items()}
    found = {name: tensor.cpu().numpy() for name, tensor in fuse_on_device(uploaded, views, *size, SETTINGS).items()}
    return next((name for name, array in wanted.items() if name not in found or not _alike(name, found[name], array)), "")


def _alike(name: str, found: NDArray, wanted: NDArray) -> bool:
    if wanted.dtype.kind == "f":
        return np.allclose(found, wanted, rtol=TOLERANCE, atol=TOLERANCE)
    if name.endswith(("_consistency", "_agreement", "_confidence")):
        off = np.abs(found.astype(int) - wanted)
        return bool(off.max() <= 1 and (off > 0).mean() <= BYTES_OFF)
    return np.array_equal(found, wanted)


def _room(cameras: Sequence[Camera]) -> Mapping[str, Field]:
    """Canonical fields of a box under an open sky, told with the errors and holes of a teacher."""
    random = np.random.default_rng(0)
    rays = np.stack([camera.directions() for camera in cameras])
    shares = np.abs(rays) / HALF_SIZES
    wall = shares.argmax(-1)
    depth = 1 / shares.max(-1) * np.exp(random.normal(0, 0.05, (len(cameras), 1, 1)))
    normals = -np.sign(rays) * (wall[..., None] == np.arange(3)) + random.normal(0, 0.1, rays.shape)
    normals /= np.linalg.norm(normals, axis=-1, keepdims=True)
    classes = np.stack([wall, (wall + 1) % 3], -1).astype(np.uint16)
    sure = np.sort(random.dirichlet([4, 2, 1], wall.shape)[..., :2].astype(np.float32))[..., ::-1].copy()
    valid = random.random(wall.shape) > 0.05
    sky = np.where(rays[..., 1] < -0.8, 0.9, 0.1)
    return {
        "depth": Field("depth", depth.astype(np.float32), valid, "metre", "ray"),
        "normals": Field("normals", normals.astype(np.float32), valid, "unit", "world"),
        "semantics": Field("semantics", classes, valid, "class", confidence=sure),
        "sky": Field("sky", sky.astype(np.float32), valid, "probability"),
    }
