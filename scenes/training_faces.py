"""Six faces of procedural panoramas with their truth, as a cubemap network learns from them; rendered once and kept."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geometry.cameras import rotation_from_angles
from geometry.layouts import cubemap
from scenes.build import build_scene
from scenes.render import render_camera
from scenes.training_shards import load_shards

KINDS = ("room", "street")
LEVEL = 4
"""Front, right, back, left; then up and down."""
MIRRORED = (0, 3, 2, 1, 4, 5)
"""Where each face comes from when right and left change places."""


@dataclass(frozen=True)
class Faces:
    """Six square faces of N panoramas, in the order of :func:`geometry.layouts.cubemap` at 90 degrees.

    ``image`` (N, 6, s, s, 3) uint8 RGB, ``depth`` (N, 6, s, s) float16 along each face's axis in metres (0 at the sky),
    ``normals`` (N, 6, s, s, 3) int8 x 127 in the panorama's frame (0 at the sky).
    """

    image: NDArray[np.uint8]
    depth: NDArray[np.float16]
    normals: NDArray[np.int8]

    def __len__(self) -> int:
        return len(self.image)

    def taken(self, chosen: Any) -> Faces:
        """Some of the panoramas."""
        return Faces(**{name: values[chosen] for name, values in vars(self).items()})


def kind_of(seed: int) -> str:
    """A room for even seeds and a street for odd ones."""
    return KINDS[seed % 2]


def render_scene_faces(seed: int, size: int) -> Faces:
    """One panorama of one scene, from a place and with a heading that the seed draws."""
    generator = np.random.default_rng([6, seed])
    scene = build_scene(kind_of(seed), seed)
    position, heading = scene.free_position(generator), float(generator.uniform(0, 2 * np.pi))
    faces: dict[str, list[NDArray]] = {"image": [], "depth": [], "normals": []}
    for camera in cubemap(size):
        frame = render_camera(scene, position, camera, supersample=2, heading=heading)
        faces["image"].append(frame.image)
        faces["depth"].append((frame.depth * camera.rays()[..., 2]).astype(np.float16))
        faces["normals"].append(np.round(frame.normals * 127).astype(np.int8))
    return Faces(**{name: np.stack(values)[None] for name, values in faces.items()})


def load_faces(folder: Path, first_seed: int, scenes: int, size: int, processes: int = 2) -> Faces:
    """Panoramas of ``scenes`` scenes from ``first_seed`` on; shards that are not in ``folder`` yet are rendered first."""
    return Faces(**load_shards(_arrays, folder, first_seed, scenes, size, processes))


def turned(faces: Faces, quarters: int) -> Faces:
    """What a camera sees that has turned to the right by so many quarters of a circle. Exact: no pixel is mixed."""
    order = [(face + quarters) % LEVEL for face in range(LEVEL)] + [4, 5]
    back = rotation_from_angles(quarters * np.pi / 2, 0.0).round().astype(np.int8)
    found = faces.taken((slice(None), order))
    for values in vars(found).values():
        for face, way in ((4, -1), (5, 1)):  # up and down turn about their own middle, opposite ways
            values[:, face] = np.rot90(values[:, face], way * quarters, axes=(1, 2))
    return Faces(found.image, found.depth, found.normals @ back)


def mirrored(faces: Faces) -> Faces:
    """Right and left exchanged: the world is reflected at the plane x = 0. Exact."""
    found = {name: values[:, list(MIRRORED)][:, :, :, ::-1] for name, values in vars(faces).items()}
    return Faces(found["image"], found["depth"], found["normals"] * np.array([-1, 1, 1], np.int8))


def _arrays(seed: int, size: int) -> dict[str, NDArray]:
    return vars(render_scene_faces(seed, size))
