"""How exactly six faces of true distances become a panorama: by fusion here, and by the peer that PaGeR stitches its faces with.

``pip install panolabel[benchmarks]``, then ``python -m benchmarks.labels.way_back > benchmarks/results/labels/way_back.md``. The
scene is a room whose distances are known in closed form, seen from a place that is not its middle.
"""

from __future__ import annotations

import sys
from datetime import date
from importlib.metadata import version

import numpy as np
import torch
from numpy.typing import NDArray
from pytorch360convert import c2e

from benchmarks.machine import machine
from geometry.cameras import Camera
from geometry.directions import erp_area_weights, erp_directions
from geometry.fields import Field, canonical
from geometry.fusion.fuse import FusionSettings, fuse
from geometry.layouts import cubemap
from models.cubemap.configuration import CubemapConfig, face_cameras

Array = NDArray[np.floating]
SIZES = ((126, 256), (252, 512), (504, 512), (504, 1024))
"""Pixels of a face, rows of the panorama."""
LOW, HIGH = np.array([-2.0, -1.4, -3.1]), np.array([3.5, 1.2, 2.2])
"""The room's walls in metres from the camera: right, down, forward."""


def room(directions: Array) -> Array:
    """Distance (...) in metres to the walls along unit directions (..., 3)."""
    return np.where(directions > 0, HIGH / np.maximum(directions, 1e-12), LOW / np.minimum(directions, -1e-12)).min(-1)


def ours(cameras: tuple[Camera, ...], height: int) -> Array:
    """The fused distance (height, 2 height) of true z-depth on faces."""
    depth = np.stack([room(camera.directions()) * camera.cos_off_axis() for camera in cameras]).astype(np.float32)
    said = Field("depth", depth, np.ones(depth.shape, bool), "metre", "axis")
    fields = {"depth": canonical(said, cameras)}
    return fuse(fields, {"depth": cameras}, height, 2 * height, FusionSettings(depth="align"))["depth"]


def theirs(cameras: tuple[Camera, ...], height: int) -> Array:
    """The peer's panorama of true distances on the same faces, which it takes in the order front, right, back, left, up, down."""
    faces = [torch.from_numpy(room(camera.directions()))[None].float() for camera in cameras]
    return c2e(faces, h=height, w=2 * height, mode="bilinear", cube_format="list")[0].numpy()


def row(name: str, size: int, height: int, found: Array) -> str:
    """One line of the table: relative errors in %, weighed by solid angle."""
    truth = room(erp_directions(height, 2 * height))
    error = 100 * np.abs(found / truth - 1).ravel()
    weight = np.broadcast_to(erp_area_weights(height)[:, None], truth.shape).ravel()
    order = np.argsort(error)
    p99 = error[order][np.searchsorted(np.cumsum(weight[order]), 0.99 * weight.sum())]
    mean = np.average(error, weights=weight)
    return f"| {size} | {2 * height}x{height} | {name} | {mean:.4f} | {p99:.4f} | {error.max():.3f} |"


def main() -> None:
    peer = f"pytorch360convert {version('pytorch360convert')}"
    print("""# From six faces back to the panorama

True distances of a room on six faces, as released weights of PaGeR's class see them, back to a panorama. Relative errors in %,
weighed by solid angle; the largest ones lie where walls meet within a pixel.

| face | panorama | way | mean | 99 % below | largest |
|---|---|---|---|---|---|""")
    for size, height in SIZES:
        released, plain = face_cameras(CubemapConfig(face_size=size)), cubemap(size)
        print(row("fuse", size, height, ours(released, height)))
        print(row(peer, size, height, theirs(released, height)))
        print(row("fuse, faces of 90 degrees", size, height, ours(plain, height)))
        print(row(f"{peer}, faces of 90 degrees", size, height, theirs(plain, height)))
    command = " ".join(["python -m benchmarks.labels.way_back", *sys.argv[1:]])
    print(f"\n{machine()}; {date.today().isoformat()}; `{command}`.")


if __name__ == "__main__":
    main()
