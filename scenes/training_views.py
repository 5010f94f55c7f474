"""Perspective views of procedural scenes with their truth, as a network learns from them; rendered once and kept."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from geometry.cameras import Camera
from scenes.build import build_scene
from scenes.render import render_camera
from scenes.training_shards import load_shards

VIEWS_PER_SCENE = 4


@dataclass(frozen=True)
class Views:
    """N square views: ``image`` (N, s, s, 3) uint8 RGB, ``depth`` (N, s, s) float16 along the axis in metres (0 at the sky),
    ``normals`` (N, s, s, 3) int8 x 127 in the camera frame, ``semantics`` (N, s, s) uint8."""

    image: NDArray[np.uint8]
    depth: NDArray[np.float16]
    normals: NDArray[np.int8]
    semantics: NDArray[np.uint8]


def render_scene_views(seed: int, size: int) -> Views:
    """Four views of one scene, a room for even seeds and a street for odd ones.

    Half of them point where the icosahedron layout does (pitch +-11 and +-53 degrees), the others anywhere.
    """
    generator = np.random.default_rng([3, seed])
    scene = build_scene(("room", "street")[seed % 2], seed)
    views: dict[str, list[NDArray]] = {"image": [], "depth": [], "normals": [], "semantics": []}
    for index in range(VIEWS_PER_SCENE):
        pitch = generator.choice([-52.6, -10.8, 10.8, 52.6]) if index % 2 else np.degrees(np.arcsin(generator.uniform(-1, 1)))
        fov = 90.0 if index % 2 else generator.uniform(70, 110)
        yaw, heading = generator.uniform(0, 2 * np.pi, 2)
        camera = Camera.looking(size, size, np.radians(fov), yaw, np.radians(pitch))
        frame = render_camera(scene, scene.free_position(generator), camera, supersample=2, heading=heading)
        views["image"].append(frame.image)
        views["depth"].append((frame.depth * camera.rays()[..., 2]).astype(np.float16))
        views["normals"].append(np.round(frame.normals @ camera.matrix * 127).astype(np.int8))
        views["semantics"].append(frame.semantics)
    return Views(**{name: np.stack(values) for name, values in views.items()})


def load_views(folder: Path, first_seed: int, scenes: int, size: int, processes: int = 2) -> Views:
    """Views of ``scenes`` scenes from ``first_seed`` on; shards that are not in ``folder`` yet are rendered first."""
    return Views(**load_shards(_arrays, folder, first_seed, scenes, size, processes))


def _arrays(seed: int, size: int) -> dict[str, NDArray]:
    return vars(render_scene_views(seed, size))
