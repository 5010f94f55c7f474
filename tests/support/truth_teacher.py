"""A perfect teacher for data sets made of procedural rooms: it says what the room of an item's number holds."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geometry.cameras import Camera
from geometry.fields import Field
from scenes.build import build_scene
from scenes.render import Frame, render_erp
from scenes.teacher import Corruptions, ScenesTeacher
from scenes.vocabulary import CLASSES
from tests.support.datasets import png, structured3d_normals

NYU = {"wall": 1, "floor": 2, "bed": 4, "chair": 5, "sofa": 6, "table": 7, "door": 8, "window": 9}
NYU |= {"picture": 11, "ceiling": 22, "lamp": 35}
"""Label of each class of the procedural world that has a namesake in NYUv2; the others are left unlabelled."""


def capture(seed: int) -> dict[str, Any]:
    """What a panorama of the room with this seed would have as metadata."""
    generator = np.random.default_rng([4, seed])
    position = build_scene("room", seed).free_position(generator)
    return {"scene": "room", "seed": seed, "position": position.tolist(), "heading": float(generator.uniform(0, 2 * np.pi))}


def frame_of(seed: int, height: int) -> Frame:
    """The panorama of a room, and its truth."""
    shot = capture(seed)
    return render_erp(build_scene("room", seed), np.array(shot["position"]), height, 2 * height, heading=shot["heading"])


def write_rooms(root: Path, seeds: Sequence[int], height: int) -> None:
    """Procedural rooms in the layout of Structured3D, ``scene_<seed>/2D_rendering/1``."""
    labels = np.array([NYU.get(name, 0) for name in CLASSES], np.uint8)
    for seed in seeds:
        frame = frame_of(seed, height)
        folder = root / f"scene_{seed:05d}/2D_rendering/1/panorama/full"
        folder.mkdir(parents=True)
        instances = np.where(frame.instances > 0, frame.instances - 1, 65535).astype(np.uint16)
        normals = np.where(frame.sky[..., None], 128, structured3d_normals(frame.normals)).astype(np.uint8)
        for name, pixels in {
            "rgb_rawlight": frame.image,
            "depth": np.round(frame.depth * 1000).astype(np.uint16),
            "normal": normals,
            "semantic": labels[frame.semantics],
            "instance": instances,
        }.items():
            (folder / f"{name}.png").write_bytes(png(pixels))


class RoomTeacher(ScenesTeacher):
    """The truth of the room whose seed stands in the item's name."""

    def __call__(self, patches: NDArray[np.uint8], cameras: Sequence[Camera], item: Mapping[str, object]) -> dict[str, Field]:
        seed = re.match(r"scene_(\d+)/", str(item["item"]))
        assert seed is not None
        return super().__call__(patches, cameras, {**item, **capture(int(seed[1]))})


def load(settings: Mapping[str, Any], device: str = "cpu") -> RoomTeacher:
    """The teacher, without any error."""
    return RoomTeacher(Corruptions())
