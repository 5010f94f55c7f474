"""A panorama as six pinhole pictures with depth maps, as programs for photogrammetry and splatting want it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from geometry.cameras import Camera
from geometry.layouts import CUBE_FACES, cubemap
from geometry.resampling.patches import extract_nearest, extract_patches
from tasks.solids.scans import Scan

JPEG = [cv2.IMWRITE_JPEG_QUALITY, 95, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
DEPTH_STEPS = 1000
"""Of a depth map to a metre."""
FARTHEST = 65535


@dataclass(frozen=True)
class Face:
    """One of the six: files below the folder, and the camera, whose rotation is face -> panorama."""

    name: str
    image: str
    depth: str
    camera: Camera


def rig(image: NDArray[np.uint8]) -> tuple[Camera, ...]:
    """Cameras whose pixels in the middle are as large as those of a panorama (h, w, 3)."""
    return cubemap(max(2, 2 * round(image.shape[1] / (2 * np.pi))))


def plain_name(item: str) -> str:
    """An item's name in letters that every program takes."""
    return re.sub(r"[^\w.-]", "_", item, flags=re.ASCII)


def faces(item: str, cameras: tuple[Camera, ...]) -> list[Face]:
    """The faces of a panorama. Names lie side by side, for some programs read no folders."""
    plain = plain_name(item)
    names = zip(CUBE_FACES, cameras, strict=True)
    return [Face(name, f"images/{plain}_{name}.jpg", f"depth/{plain}_{name}.png", camera) for name, camera in names]


def pictures(scan: Scan, wanted: list[Face]) -> Iterator[tuple[str, bytes]]:
    """Files of a panorama's faces: JPEG, and depth along the optical axis in thousandths of the unit as 16-bit PNG, 0 where there
    is none or it is farther than that reaches."""
    cameras = [face.camera for face in wanted]
    colours = extract_patches(scan.image, cameras)
    distances = extract_nearest(np.where(scan.labels["depth_valid"], scan.depth, 0), cameras)
    for face, picture, distance in zip(wanted, colours, distances, strict=True):
        yield face.image, bytes(cv2.imencode(".jpg", picture[..., ::-1], JPEG)[1])
        steps = np.rint(distance * face.camera.cos_off_axis() * DEPTH_STEPS)
        yield face.depth, bytes(cv2.imencode(".png", np.where(steps > FARTHEST, 0, steps).astype(np.uint16))[1])


def seen(cameras: tuple[Camera, ...], points: NDArray[np.floating]) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Which face sees points (N, 3) about the panorama's camera, and at which column and row (N, 2)."""
    points = points.astype(np.float64)
    number = np.argmax(points @ np.stack([camera.axis for camera in cameras]).T, axis=-1)
    place = np.empty((len(points), 2))
    for face, camera in enumerate(cameras):
        mine = number == face
        place[mine, 0], place[mine, 1], _ = camera.project(points[mine])
    return number, place
