"""What makes the target's streets harder than the source's: posters that show Things, and people who hide each other."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from geometry.directions import angles_to_directions
from scenes.render import cast
from scenes.textures import Material
from scenes.vocabulary import ID
from scenes.world import Scene

Array = NDArray[np.floating]
POSTERS = 6
"""At most so many are in view of a camera."""
PAPER = Material("solid", (0.75, 0.73, 0.68), grain=0.05)
UP = np.array([0.0, -1.0, 0.0])


def in_company(scene: Scene, position: Array, generator: np.random.Generator) -> Scene:
    """Beside about every other person stands another like them, half a metre to a metre away, clear of cars and the camera."""
    taken = [_ground(scene, car) for car in np.unique(scene.instances[scene.classes == ID["car"]])]
    for person in np.unique(scene.instances[scene.classes == ID["person"]]):
        angle, distance, alone = generator.uniform(0, 2 * np.pi), generator.uniform(0.5, 1.0), generator.random() < 0.5
        shift = distance * np.array([np.cos(angle), 0.0, np.sin(angle)])
        own = scene.instances == person
        place = scene.triangles[own].mean(axis=(0, 1)) + shift
        hit = any(low[0] < place[0] < high[0] and low[1] < place[2] < high[1] for low, high in taken)
        if not (alone or hit or np.hypot(*(place - position)[[0, 2]]) < 1):
            scene = _with(scene, scene.triangles[own] + shift, ID["person"], int(scene.instances.max()) + 1, scene.material[own])
    return scene


def with_posters(scene: Scene, position: Array, generator: np.random.Generator) -> Scene:
    """Posters on the houses that a camera sees, each a flat picture of one of the street's people or cars: it is building.

    Where a ray near the horizon ends on a wall 3 to 20 m away, a sheet of paper hangs there, 1.5 to 2.5 m in its longer side.
    """
    things = np.unique(scene.instances[np.isin(scene.classes, (ID["person"], ID["car"]))])
    longitude, latitude = generator.uniform(-np.pi, np.pi, 4 * POSTERS), generator.uniform(0, 0.25, 4 * POSTERS)
    rays = angles_to_directions(longitude, latitude)
    hits = cast(scene, np.asarray(position, np.float64), rays)
    wall = (hits.triangle >= 0) & (np.abs(hits.normals[:, 1]) < 0.1) & (hits.distance > 3) & (hits.distance < 20)
    wall &= scene.classes[np.maximum(hits.triangle, 0)] == ID["building"]
    for ray in np.flatnonzero(wall)[:POSTERS] if len(things) else ():
        place = position + rays[ray] * hits.distance[ray]
        scene = _hang(scene, int(generator.choice(things)), place, hits.normals[ray], generator.uniform(1.5, 2.5))
    return scene


def _hang(scene: Scene, thing: int, place: Array, normal: Array, size: float) -> Scene:
    """The scene with a picture of a thing at a place (3,) of a wall with a unit normal (3,), ``size`` metres long."""
    own = scene.instances == thing
    across = np.cross(normal, UP)
    frame = np.stack([across, UP, normal])
    seen = scene.triangles[own] @ frame.T
    low, high = seen.min(axis=(0, 1)), seen.max(axis=(0, 1))
    scale = size / (high - low)[:2].max()
    flat = (seen - (low + high) / 2) * [scale, scale, 0.02 / (high - low)[2]] + [0, 0, 0.05]
    half = 0.55 * scale * (high - low)
    corners = np.array([[-half[0], -half[1]], [half[0], -half[1]], [half[0], half[1]], [-half[0], half[1]]])
    sheet = np.c_[corners, np.full(4, 0.02)][np.array([[0, 1, 2], [0, 2, 3]])]
    materials = scene.materials if PAPER in scene.materials else (*scene.materials, PAPER)
    scene = replace(scene, materials=materials)
    paper = np.full(2, materials.index(PAPER), np.int32)
    scene = _with(scene, sheet @ frame + place, ID["building"], 0, paper)
    return _with(scene, flat @ frame + place, ID["building"], 0, scene.material[: len(own)][own])


def _ground(scene: Scene, instance: int) -> tuple[Array, Array]:
    """The least and the greatest x and z of an object, with a hand's breadth around it."""
    points = scene.triangles[scene.instances == instance][..., [0, 2]]
    return points.min(axis=(0, 1)) - 0.2, points.max(axis=(0, 1)) + 0.2


def _with(scene: Scene, triangles: Array, label: int, instance: int, material: NDArray[np.int32]) -> Scene:
    """The scene with more triangles (T, 3, 3) of one class and instance."""
    count = len(triangles)
    return replace(
        scene,
        triangles=np.concatenate([scene.triangles, triangles]),
        classes=np.concatenate([scene.classes, np.full(count, label, np.uint8)]),
        instances=np.concatenate([scene.instances, np.full(count, instance, np.uint16)]),
        material=np.concatenate([scene.material, material]),
    )
