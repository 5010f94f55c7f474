"""Scenes in which things move, filmed by a camera that moves: what is where at any time, exactly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scenes.build import build_scene
from scenes.motion import CameraPath, Motion, Rigid, Swing
from scenes.render import cast
from scenes.world import Scene

Array = NDArray[np.floating]
PATHS: dict[str, dict[str, float]] = {
    "static": {},
    "turn": {"turn": 0.5},
    "walk": {"speed": 0.8},
    "walk_turn": {"speed": 0.8, "turn": 0.4},
    "shake": {"speed": 0.8, "shake": 0.03},
}
"""Name of a camera's path -> what moves in it: metres and radians a second, and radians of a hand's shake."""
CLEARANCE = 0.7
"""Metres that a camera keeps from what it walks towards, and things that move from the camera."""
COURSES = 16
SPOTS = 12


@dataclass(frozen=True)
class MovingScene:
    """A scene at rest, the motions of some of its things by instance, and that of the camera (camera to world)."""

    scene: Scene
    things: Mapping[int, Motion]
    camera: Motion

    def at(self, seconds: float) -> Scene:
        """The scene as it is at a time."""
        triangles = self.scene.triangles.copy()
        for instance, motion in self.things.items():
            own = self.scene.instances == instance
            triangles[own] = motion(seconds)(triangles[own])
        return replace(self.scene, triangles=triangles)

    def pose(self, instance: int, seconds: float) -> Rigid:
        """Where an instance is at a time, from where it is at rest; what does not move stays."""
        return self.things[instance](seconds) if instance in self.things else Rigid(np.eye(3), np.zeros(3))


def build_clip(kind: str, seed: int, path: str = "walk", things: int = 3, seconds: float = 5.0) -> MovingScene:
    """A scene of a kind with a camera that follows a path for so many seconds, and at most ``things`` that move.

    Raises
    ------
    ValueError
        Unknown kind or path.
    """
    if path not in PATHS:
        raise ValueError(f"camera path {path!r} is not known; use one of {', '.join(PATHS)}")
    scene, generator = build_scene(kind, seed), np.random.default_rng([6, seed])
    start, course, free = _clearest(scene, generator)
    told = dict(PATHS[path])
    if "speed" in told:
        told["speed"] = float(min(told["speed"], max(free - CLEARANCE, 0.0) / seconds))
    camera = CameraPath(_three(start), float(generator.uniform(0, 2 * np.pi)), course, **told)
    track = np.stack([camera(second).shift for second in np.linspace(0, seconds, 20)])
    return MovingScene(scene, _moving_things(scene, track, things, generator), camera)


def _three(vector: Array | Sequence[Any]) -> tuple[float, float, float]:
    x, y, z = (float(value) for value in vector)
    return x, y, z


def _clearest(scene: Scene, generator: np.random.Generator) -> tuple[Array, float, float]:
    """Of some places and courses, that on which a camera may walk farthest: place, course in radians, metres."""
    best: tuple[Array, float, float] = (scene.free_position(generator), 0.0, 0.0)
    courses = np.arange(COURSES) * (2 * np.pi / COURSES)
    rays = np.stack([np.sin(courses), np.zeros(COURSES), np.cos(courses)], axis=1)
    for _ in range(SPOTS):
        spot = scene.free_position(generator)
        hits = cast(scene, np.asarray(spot, np.float64), rays)
        free = np.where(hits.triangle < 0, 50.0, hits.distance)
        farthest = int(free.argmax())
        if free[farthest] > best[2]:
            best = spot, float(courses[farthest]), float(free[farthest])
    return best


def _moving_things(scene: Scene, track: Array, count: int, generator: np.random.Generator) -> dict[int, Motion]:
    """Motions of the things nearest to the camera's track (N, 3) that leave it room."""
    reach = 0.35
    places: dict[int, Array] = {}
    for instance in np.unique(scene.instances[scene.instances > 0]):
        corners = scene.triangles[scene.instances == instance].reshape(-1, 3)
        away = np.linalg.norm(corners[:, None, [0, 2]] - track[None, :, [0, 2]], axis=-1).min()
        if away > CLEARANCE + reach:
            places[int(instance)] = (corners.min(axis=0) + corners.max(axis=0)) / 2
    nearest = sorted(places, key=lambda one: float(np.linalg.norm(places[one] - track[0])))[:count]
    found: dict[int, Motion] = {}
    for instance in nearest:
        angle, period = generator.uniform(0, 2 * np.pi), generator.uniform(2.0, 4.0)
        along = (reach * float(np.sin(angle)), 0.0, reach * float(np.cos(angle)))
        found[instance] = Swing(_three(places[instance]), along, float(period), float(generator.uniform(0.0, 0.4)))
    return found
