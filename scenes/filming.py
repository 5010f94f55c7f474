"""A moving scene filmed: panoramas with the exact truth of every pixel, and the exact tracks of points."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from geometry.directions import erp_directions
from scenes.motion import Rigid
from scenes.moving import MovingScene
from scenes.render import Frame, cast, render
from scenes.world import Light, Scene

Array = NDArray[np.floating]
NEARER = 0.01
"""Share of its distance by which something must be nearer than a point to hide it."""


@dataclass(frozen=True)
class Filmed:
    """One frame of a clip: what the camera sees, in its own frame, and its ``pose``, camera to world.

    ``moving`` (H, W) bool is true where things are seen that move.
    """

    seconds: float
    frame: Frame
    pose: Rigid
    moving: NDArray[np.bool_]


def film(scene: MovingScene, times: Sequence[float], height: int, supersample: int = 1) -> Iterator[Filmed]:
    """The frames at times in seconds, (height, 2 height), one after the other.

    The truth is that of pixel centres; colours are means of ``supersample`` squared rays a pixel.
    """
    for seconds in times:
        pose = scene.camera(seconds)
        seen = _seen_along(scene, seconds, erp_directions(height, 2 * height) @ pose.rotation.T)
        image = seen.image
        if supersample > 1:
            rays = erp_directions(height * supersample, 2 * height * supersample) @ pose.rotation.T
            fine = _seen_along(scene, seconds, rays).image.reshape(height, supersample, 2 * height, supersample, 3)
            image = np.rint(fine.mean(axis=(1, 3))).astype(np.uint8)
        normals = (seen.normals @ pose.rotation).astype(np.float32)
        yield Filmed(seconds, replace(seen, image=image, normals=normals), pose, np.isin(seen.instances, list(scene.things)))


def _seen_along(scene: MovingScene, seconds: float, directions: Array) -> Frame:
    """What is seen along world directions (H, W, 3), normals in the world frame.

    Textures are functions of place, so a thing that moved is coloured where it stands at rest, with all else, the lights too,
    moved there: its texture goes with it, and light and shadow are those of where it is.
    """
    now, camera = scene.at(seconds), scene.camera(seconds).shift
    seen = render(now, camera, directions)
    image = seen.image.copy()
    for instance, motion in scene.things.items():
        own = seen.instances == instance
        if own.any():
            back = motion(seconds).inverse()
            image[own] = render(_moved(now, back), back(camera), (directions[own] @ back.rotation.T)[None]).image[0]
    return replace(seen, image=image)


def _moved(scene: Scene, motion: Rigid) -> Scene:
    """All of a scene, moved, as one that turns about the vertical does; light from a sun has a direction, and no place."""

    def light(one: Light) -> Light:
        place = np.array(one.position)
        x, y, z = (motion.rotation @ place if one.kind == "sun" else motion(place)).tolist()
        return replace(one, position=(x, y, z))

    return replace(scene, triangles=motion(scene.triangles), lights=tuple(light(one) for one in scene.lights))


@dataclass(frozen=True)
class Tracks:
    """N points over T times.

    ``bearing`` (N, T, 3) float64, unit, in the camera's frame; ``point`` (N, T, 3) float64 in the world, metres; ``visible``
    (N, T) bool; ``instance`` (N,), 0 for stuff.
    """

    bearing: Array
    point: Array
    visible: NDArray[np.bool_]
    instance: NDArray[np.intp]


def true_tracks(scene: MovingScene, times: Sequence[float], seeds: Array, born: int = 0) -> Tracks:
    """Where what is seen at time ``born`` along bearings (N, 3) of the camera is at all times.

    Bearings that meet the sky give no track: they are left out.
    """
    start, now = scene.camera(times[born]), scene.at(times[born])
    rays = seeds @ start.rotation.T
    hits = cast(now, start.shift, rays)
    found = hits.triangle >= 0
    instance = now.instances[hits.triangle[found]].astype(np.intp)
    point = start.shift + rays[found] * hits.distance[found, None]
    rest = np.stack([scene.pose(int(one), times[born]).inverse()(at) for one, at in zip(instance, point)]).reshape(-1, 3)
    seen = [_seen(scene, seconds, rest, instance) for seconds in times]
    bearings, points, visible = zip(*seen, strict=True)
    return Tracks(np.stack(bearings, axis=1), np.stack(points, axis=1), np.stack(visible, axis=1), instance)


def _seen(scene: MovingScene, seconds: float, rest: Array, instance: NDArray[np.intp]) -> tuple[Array, Array, NDArray[np.bool_]]:
    """Bearings (N, 3), world points (N, 3) and visibility (N,) of points that stand at ``rest`` where nothing moves."""
    camera = scene.camera(seconds)
    points = rest.copy()
    for one in np.unique(instance):
        points[instance == one] = scene.pose(int(one), seconds)(rest[instance == one])
    away = points - camera.shift
    distance = np.linalg.norm(away, axis=1)
    rays = away / distance[:, None]
    hits = cast(scene.at(seconds), camera.shift, rays)
    visible = (hits.triangle < 0) | (hits.distance > distance * (1 - NEARER))
    return rays @ camera.rotation, points, visible
