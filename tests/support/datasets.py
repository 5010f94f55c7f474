"""Public data sets in miniature: a box room in closed form, written file by file as each data set's description says.

Nothing here uses the readers: what they must find is computed from the geometry of the box.
"""

from __future__ import annotations

import io
import json
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from storage.urls import write_bytes

LOW = np.array([-2.0, -1.2, -4.0])
HIGH = np.array([3.0, 1.6, 2.5])
"""Walls of the room around the camera: x right, y down (so 1.6 m to the floor), z forward."""


@dataclass(frozen=True)
class Room:
    """What a camera in the box sees: radial metres, inward normals, and which of ceiling, floor and wall."""

    depth: NDArray[np.float64]
    normals: NDArray[np.float64]
    surface: NDArray[np.str_]

    @property
    def image(self) -> NDArray[np.uint8]:
        """Some picture, different everywhere."""
        return np.round(127 + 100 * np.sin(3 * self.normals + self.depth[..., None])).astype(np.uint8)


def box_room(height: int) -> Room:
    """The room in closed form at ``height`` x ``2 height``."""
    longitude = ((np.arange(2 * height) + 0.5) / (2 * height) - 0.5) * 2 * np.pi
    latitude = (0.5 - (np.arange(height) + 0.5) / height) * np.pi
    theta, phi = np.meshgrid(longitude, latitude)
    rays = np.stack([np.cos(phi) * np.sin(theta), -np.sin(phi), np.cos(phi) * np.cos(theta)], axis=-1)
    with np.errstate(divide="ignore"):
        exits = np.where(rays > 0, HIGH, LOW) / rays
    axis = exits.argmin(axis=-1)
    depth = np.take_along_axis(exits, axis[..., None], axis=-1)[..., 0]
    outward = np.take_along_axis(np.sign(rays), axis[..., None], axis=-1)
    normals = -outward * np.eye(3)[axis]
    surface = np.where(axis != 1, "wall", np.where(rays[..., 1] > 0, "floor", "ceiling"))
    return Room(depth, normals, surface)


def png(pixels: NDArray) -> bytes:
    """PNG of grey or RGB pixels, of 8 or 16 bits."""
    return cv2.imencode(".png", pixels[..., ::-1] if pixels.ndim == 3 else pixels)[1].tobytes()


def jpeg(pixels: NDArray) -> bytes:
    return cv2.imencode(".jpg", pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 98])[1].tobytes()


def dpt(metres: NDArray) -> bytes:
    return struct.pack("<fii", 202021.25, metres.shape[1], metres.shape[0]) + metres.astype("<f4").tobytes()


def npy(array: NDArray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def parquet(rows: list[dict[str, Any]]) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), buffer, row_group_size=2)
    return buffer.getvalue()


def forward_up_left(normals: NDArray) -> NDArray:
    """World normals in PaGeR's frame."""
    return np.stack([normals[..., 2], -normals[..., 1], -normals[..., 0]], axis=-1)


def structured3d_normals(normals: NDArray) -> NDArray[np.uint8]:
    """Pixels that ``px / 128 - 1`` and then (nx, ny, nz) -> (-nz, ny, -nx) take into PaGeR's frame."""
    forward, up, left = np.moveaxis(forward_up_left(normals), -1, 0)
    return np.clip(np.round(128 * (1 + np.stack([-left, up, -forward], axis=-1))), 0, 255).astype(np.uint8)


def write_matterport3d360(root: str, room: Room) -> None:
    depth = room.depth.copy()
    depth[:, :3] = 0
    for scene in ("aaa", "bbb"):
        write_bytes(f"{root}/1_of_3/data/{scene}/x1_rgb.png", png(room.image))
        write_bytes(f"{root}/1_of_3/data/{scene}/x1_depth.dpt", dpt(depth))
    write_bytes(f"{root}/scenes_test.txt", b"bbb\n")


def write_stanford2d3ds(root: str, room: Room) -> None:
    labels = ["<UNK>_0_<UNK>_0_0", "ceiling_1_office_3_1", "floor_1_office_3_1", "wall_1_office_3_1", "chair_7_office_3_1"]
    write_bytes(f"{root}/assets/semantic_labels.json", json.dumps(labels).encode())
    units = np.round(room.depth * 512).astype(np.uint16)
    units[:, :3] = 65535
    numbers = np.select([room.surface == "ceiling", room.surface == "floor"], [1, 2], 3)
    numbers[20:24, 20:30] = 4  # the chair
    numbers[:, :3] = 0x0D0D0D
    colours = np.stack([numbers >> 16, numbers >> 8 & 255, numbers & 255], axis=-1).astype(np.uint8)
    for area in ("area_1", "area_5b"):
        stem = "camera_0f_office_3_frame_equirectangular_domain"
        write_bytes(f"{root}/{area}/pano/rgb/{stem}_rgb.png", png(room.image))
        write_bytes(f"{root}/{area}/pano/depth/{stem}_depth.png", png(units))
        write_bytes(f"{root}/{area}/pano/semantic/{stem}_semantic.png", png(colours))
    write_bytes(f"{root}/area_1/data/rgb/camera_0f_office_3_frame_2_domain_rgb.png", png(room.image[:, :64]))


def write_structured3d(root: str, room: Room) -> None:
    millimetres = np.round(room.depth * 1000).astype(np.uint16)
    millimetres[:, :3] = 0
    normals = structured3d_normals(room.normals)
    normals[:, :3] = 128
    labels = np.select([room.surface == "ceiling", room.surface == "floor"], [22, 2], 1).astype(np.uint8)
    labels[:, :3] = 0
    instances = np.full(room.depth.shape, 65535, np.uint16)
    instances[20:24, 20:30] = 0
    for scene in ("scene_00000", "scene_03000", "scene_03250"):
        folder = f"{root}/{scene}/2D_rendering/485/panorama/full"
        for name, data in (("rgb_rawlight", room.image), ("depth", millimetres), ("normal", normals), ("semantic", labels)):
            write_bytes(f"{folder}/{name}.png", png(data))
        write_bytes(f"{folder}/instance.png", png(instances))
        write_bytes(f"{folder}/rgb_warmlight.png", png(room.image))
        write_bytes(f"{folder.replace('full', 'empty')}/rgb_rawlight.png", png(room.image))


def write_replica360_4k(root: str, room: Room) -> None:
    mask = np.full(room.depth.shape, 255, np.uint8)
    mask[:, :3] = 0
    for frame in ("0000", "0001"):
        write_bytes(f"{root}/office_0/{frame}_rgb_pano.jpg", jpeg(room.image))
        write_bytes(f"{root}/office_0/{frame}_depth_pano.dpt", dpt(room.depth))
        write_bytes(f"{root}/office_0/{frame}_mask_pano.png", png(mask))


def write_zuripano(root: str, room: Room) -> None:
    mask = np.full(room.depth.shape, 255, np.uint8)
    mask[:, :3] = 0
    units = np.round(room.depth * 65535 / 200).astype(np.uint16)
    images = {"rgb": png(room.image), "depth": png(units), "mask": png(mask)}
    rows = [{"id": f"square_{n}", **{name: {"bytes": data, "path": None} for name, data in images.items()}} for n in range(3)]
    write_bytes(f"{root}/data/test-00000-of-00001.parquet", parquet(rows))


def write_panoinfinigen(root: str, room: Room) -> None:
    """``indoor`` as NumPy files, ``urban`` as images, the far end at the renderer's limit."""
    stored = forward_up_left(room.normals)
    arrays = {}
    for scenes, farthest in (("indoor", 75.0), ("urban", 500.0)):
        metres = room.depth.copy()
        metres[:, :3] = farthest
        if scenes == "indoor":
            arrays[scenes] = {"depth": npy(metres.astype(np.float16)), "normals": npy(stored.astype(np.float16))}
        else:
            units, pixels = np.round(metres * 65535 / farthest), np.round((stored + 1) / 2 * 255)
            encoded = {"depth": png(units.astype(np.uint16)), "normals": jpeg(pixels.astype(np.uint8))}
            arrays[scenes] = {name: {"bytes": data, "path": None} for name, data in encoded.items()}
        rows = [{"image": {"bytes": jpeg(room.image), "path": None}, **arrays[scenes]} for _ in range(3)]
        write_bytes(f"{root}/data/{scenes}/val-00000-of-00002.parquet", parquet(rows))


def write_densepass(root: str, room: Room) -> None:
    """The middle 25 of 64 rows: 70.3 degrees."""
    height = room.depth.shape[0]
    rows = slice((height - height * 25 // 64) // 2, (height - height * 25 // 64) // 2 + height * 25 // 64)
    labels = np.select([room.surface == "floor", room.surface == "ceiling"], [0, 10], 2).astype(np.uint8)
    labels[:, :3] = 255
    write_bytes(f"{root}/leftImg8bit/val/cs/100_.png", png(room.image[rows]))
    write_bytes(f"{root}/gtFine/val/cs/100_labelTrainIds.png", png(labels[rows]))
    write_bytes(f"{root}/leftImg8bit/train/200_.png", png(room.image[rows]))


def write_cityscapes(root: str, room: Room) -> None:
    labels = np.select([room.surface == "floor", room.surface == "ceiling"], [7, 23], 11).astype(np.uint8)
    instances = labels.astype(np.uint16)
    labels[:, :3] = 0
    labels[20:24, 20:30], instances[20:24, 20:30] = 26, 26003
    stem = "aachen_000000_000019"
    write_bytes(f"{root}/leftImg8bit/val/aachen/{stem}_leftImg8bit.png", png(room.image))
    write_bytes(f"{root}/gtFine/val/aachen/{stem}_gtFine_labelIds.png", png(labels))
    write_bytes(f"{root}/gtFine/val/aachen/{stem}_gtFine_instanceIds.png", png(instances))


WRITERS: dict[str, Callable[[str, Room], None]] = {
    "cityscapes": write_cityscapes,
    "densepass": write_densepass,
    "matterport3d360": write_matterport3d360,
    "panoinfinigen": write_panoinfinigen,
    "replica360_4k": write_replica360_4k,
    "stanford2d3ds": write_stanford2d3ds,
    "structured3d": write_structured3d,
    "zuripano": write_zuripano,
}
