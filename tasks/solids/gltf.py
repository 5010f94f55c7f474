"""Binary glTF 2.0: points, and triangles with a picture on them.

glTF has y up and -z forward: everything is turned by half a turn about x.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.stage.job import BadItem

POINTS, TRIANGLES = 0, 4
VERTICES, INDICES = 34962, 34963
COMPONENTS = {"<f4": 5126, "|u1": 5121, "<u4": 5125}
TYPES = {1: "SCALAR", 2: "VEC2", 3: "VEC3", 4: "VEC4"}
REPEAT, CLAMP, LINEAR, MIPMAPS = 10497, 33071, 9729, 9987
"""Numbers of the glTF 2.0 specification."""
LARGEST = 2**32 - 1
"""Bytes of a file, which its head tells in 32 bits."""


@dataclass(frozen=True)
class Part:
    """One mesh: ``attributes`` by glTF's names, (N, C) float32 or uint8; points, or ``triangles`` (M, 3) with a JPEG on them."""

    attributes: Mapping[str, NDArray]
    triangles: NDArray[np.int32] | None = None
    jpeg: bytes | None = None


def glb(parts: Sequence[Part]) -> bytes:
    """A file with one scene of all parts.

    Raises
    ------
    BadItem
        It would be larger than the format allows.
    """
    writer = _Writer()
    for part in parts:
        writer.add(part)
    return writer.bytes()


def turned(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """World vectors (N, 3) in glTF's frame."""
    return np.ascontiguousarray(vectors * np.array([1, -1, -1], np.float32), "<f4")


class _Writer:
    def __init__(self) -> None:
        self.buffer: list[bytes] = []
        self.length = 0
        self.scene: dict[str, Any] = {name: [] for name in ("nodes", "meshes", "bufferViews", "accessors")}

    def add(self, part: Part) -> None:
        primitive: dict[str, Any] = {"mode": POINTS if part.triangles is None else TRIANGLES}
        primitive["attributes"] = {name: self.accessor(array, VERTICES, name) for name, array in part.attributes.items()}
        if part.triangles is not None:
            primitive["indices"] = self.accessor(part.triangles.reshape(-1, 1).astype("<u4"), INDICES)
        if part.jpeg is not None:
            primitive["material"] = self.material(part.jpeg)
        self.scene["nodes"].append({"mesh": len(self.scene["meshes"])})
        self.scene["meshes"].append({"primitives": [primitive]})

    def view(self, data: bytes, **more: int) -> int:
        self.scene["bufferViews"].append({"buffer": 0, "byteOffset": self.length, "byteLength": len(data), **more})
        padded = data + bytes(-len(data) % 4)  # whatever comes next must be aligned
        self.buffer.append(padded)
        self.length += len(padded)
        return len(self.scene["bufferViews"]) - 1

    def accessor(self, array: NDArray, target: int, name: str = "") -> int:
        kind = array.dtype.newbyteorder("<").str
        said: dict[str, Any] = {"bufferView": self.view(np.ascontiguousarray(array, kind).tobytes(), target=target)}
        said |= {"count": len(array), "type": TYPES[array.shape[1]], "componentType": COMPONENTS[kind]}
        said |= {"normalized": True} if kind == "|u1" else {}
        said |= {"min": array.min(0).tolist(), "max": array.max(0).tolist()} if name == "POSITION" else {}
        self.scene["accessors"].append(said)
        return len(self.scene["accessors"]) - 1

    def material(self, jpeg: bytes) -> int:
        """A picture that already holds all light there was, seen from both sides; it goes on to the right of its seam."""
        for name in ("images", "samplers", "textures", "materials"):
            self.scene.setdefault(name, [])
        number = len(self.scene["images"])
        self.scene["images"].append({"bufferView": self.view(jpeg), "mimeType": "image/jpeg"})
        self.scene["samplers"].append({"magFilter": LINEAR, "minFilter": MIPMAPS, "wrapS": REPEAT, "wrapT": CLAMP})
        self.scene["textures"].append({"source": number, "sampler": number})
        look = {"baseColorTexture": {"index": number}, "metallicFactor": 0, "roughnessFactor": 1}
        unlit: dict[str, Any] = {"KHR_materials_unlit": {}}
        self.scene["materials"].append({"pbrMetallicRoughness": look, "doubleSided": True, "extensions": unlit})
        self.scene["extensionsUsed"] = ["KHR_materials_unlit"]
        return number

    def bytes(self) -> bytes:
        scene = {
            "asset": {"version": "2.0", "generator": "panolabel"}, "scene": 0,
            "scenes": [{"nodes": list(range(len(self.scene["nodes"])))}],
            "buffers": [{"byteLength": self.length}], **self.scene,
        }  # fmt: skip
        text = json.dumps(scene).encode()
        text += b" " * (-len(text) % 4)
        total = 12 + 8 + len(text) + 8 + self.length
        if total > LARGEST:
            raise BadItem(
                f"would make a GLB of {total / 2**30:.1f} GiB, and 4 is the most; write fewer panoramas at once, or PLY"
            )
        head = struct.pack("<4sIII4s", b"glTF", 2, total, len(text), b"JSON")
        return b"".join([head, text, struct.pack("<I4s", self.length, b"BIN\0"), *self.buffer])
