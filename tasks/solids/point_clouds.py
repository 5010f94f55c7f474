"""Panoramas as point clouds: labels -> bytes of PLY or GLB.

PLY keeps the world frame of the labels (x right, y down, z forward). GLB has y up and -z forward, as glTF asks: half a turn
about x.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geometry.surfaces import incidence
from geometry.surfaces.auxiliaries import point_map
from tasks.stage.job import BadItem

FORMATS = ("ply", "glb")
MAX_INCIDENCE = math.degrees(incidence.MAX_INCIDENCE)
"""Degrees: the most obliquely that a surface is seen, if nobody says otherwise."""
FLOAT32, UINT8, ARRAY_BUFFER, POINTS = 5126, 5121, 34962, 0
"""Numbers of the glTF 2.0 specification."""


@dataclass(frozen=True)
class PointCloud:
    """Points of one panorama.

    ``points`` (N, 3) float32 in the unit of the depth, world frame; ``colours`` (N, 3) uint8 RGB; ``normals`` (N, 3) float32,
    zero where there is none, or None.
    """

    points: NDArray[np.float32]
    colours: NDArray[np.uint8]
    normals: NDArray[np.float32] | None = None


def point_cloud(
    labels: Mapping[str, NDArray[Any]], image: NDArray[np.uint8], max_incidence: float = incidence.MAX_INCIDENCE
) -> PointCloud:
    """One point for every pixel with a distance, but at tears of the surface.

    Parameters
    ----------
    labels : decoded ERP labels (H, W[, 3])
    image : (H, W, 3) uint8
    max_incidence : float
        Radians; see :func:`geometry.surfaces.incidence.torn`. At a right angle every pixel is kept.

    Raises
    ------
    BadItem
        There is no depth, or no pixel has any, or the surface is torn at every pixel.
    """
    if "depth" not in labels or not labels["depth_valid"].any():
        raise BadItem("has no distances, so it makes no points")
    kept = labels["depth_valid"] & ~incidence.torn(labels["depth"], labels["depth_valid"], max_incidence)
    if not kept.any():
        raise BadItem("its distances make no surface, so it makes no points; --max-incidence 90 writes them all the same")
    normals = labels["normals"] * labels["normals_valid"][..., None] if "normals" in labels else None
    return PointCloud(point_map(labels["depth"])[kept], image[kept], None if normals is None else normals[kept])


def encode(cloud: PointCloud, to: str) -> bytes:
    """A cloud as ``ply`` or ``glb``; ValueError for anything else."""
    if to not in FORMATS:
        raise ValueError(f"point clouds are written as {' or '.join(FORMATS)}, not as {to!r}")
    return ply(cloud) if to == "ply" else glb(cloud)


def ply(cloud: PointCloud) -> bytes:
    """Binary little-endian PLY."""
    fields = [(axis, "<f4") for axis in "xyz"]
    fields += [(f"n{axis}", "<f4") for axis in "xyz"] if cloud.normals is not None else []
    fields += [(colour, "u1") for colour in ("red", "green", "blue")]
    rows = np.empty(len(cloud.points), fields)
    for n, axis in enumerate("xyz"):
        rows[axis] = cloud.points[:, n]
        if cloud.normals is not None:
            rows[f"n{axis}"] = cloud.normals[:, n]
    for n, colour in enumerate(("red", "green", "blue")):
        rows[colour] = cloud.colours[:, n]
    names = {"<f4": "float", "u1": "uchar"}
    lines = ["ply", "format binary_little_endian 1.0", f"element vertex {len(rows)}"]
    lines += [f"property {names[kind]} {name}" for name, kind in fields]
    return "\n".join([*lines, "end_header", ""]).encode() + rows.tobytes()


def glb(cloud: PointCloud) -> bytes:
    """Binary glTF 2.0 with one mesh of points."""
    opaque = np.full((len(cloud.points), 1), 255, np.uint8)  # four bytes a colour: attributes must be aligned
    parts = {"POSITION": _turned(cloud.points), "COLOR_0": np.concatenate([cloud.colours, opaque], axis=1)}
    if cloud.normals is not None and bool((np.linalg.norm(cloud.normals, axis=-1) > 0.5).all()):  # glTF knows no missing normal
        parts["NORMAL"] = _turned(cloud.normals)
    views: list[dict[str, Any]] = []
    accessors: list[dict[str, Any]] = []
    start = 0
    for name, array in parts.items():
        views.append({"buffer": 0, "byteOffset": start, "byteLength": array.nbytes, "target": ARRAY_BUFFER})
        colour = name == "COLOR_0"
        accessor: dict[str, Any] = {"bufferView": len(accessors), "count": len(array), "type": "VEC4" if colour else "VEC3"}
        accessor |= {"componentType": UINT8, "normalized": True} if colour else {"componentType": FLOAT32}
        if name == "POSITION":
            accessor |= {"min": array.min(0).tolist(), "max": array.max(0).tolist()}
        accessors.append(accessor)
        start += array.nbytes
    scene = {
        "asset": {"version": "2.0", "generator": "panolabel"}, "scene": 0, "scenes": [{"nodes": [0]}], "nodes": [{"mesh": 0}],
        "meshes": [{"primitives": [{"attributes": {name: n for n, name in enumerate(parts)}, "mode": POINTS}]}],
        "buffers": [{"byteLength": start}], "bufferViews": views, "accessors": accessors,
    }  # fmt: skip
    text = json.dumps(scene).encode()
    text += b" " * (-len(text) % 4)
    body = b"".join(array.tobytes() for array in parts.values())
    chunks = struct.pack("<I4s", len(text), b"JSON") + text + struct.pack("<I4s", len(body), b"BIN\0") + body
    return struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks


def _turned(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.ascontiguousarray(vectors * np.array([1, -1, -1], np.float32), "<f4")
