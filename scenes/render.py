"""Ray casting: the image of a scene, and the exact truth of every pixel, seen along any directions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geometry.cameras import Camera, rotation_from_angles
from geometry.directions import erp_directions
from scenes.textures import albedo, noise
from scenes.world import Scene

Array = NDArray[np.floating]
SHADOW_OFFSET = 2e-3
"""Metres by which shadow rays start off a surface."""


@dataclass(frozen=True)
class Frame:
    """What a camera sees.

    ``image`` (H, W, 3) sRGB; ``depth`` (H, W) radial in metres and ``normals`` (H, W, 3) that face the camera, in the turned
    panorama's frame, both 0 at the sky; ``semantics``, ``instances`` (0 for stuff) and ``sky`` (H, W).
    """

    image: NDArray[np.uint8]
    depth: NDArray[np.float32]
    normals: NDArray[np.float32]
    semantics: NDArray[np.uint8]
    instances: NDArray[np.uint16]
    sky: NDArray[np.bool_]


@dataclass(frozen=True)
class Hits:
    """Where rays end: triangle index (-1 for none), distance in metres (float64), world normals that face the ray's start."""

    triangle: NDArray[np.intp]
    distance: Array
    normals: Array


def render_erp(scene: Scene, position: Array, height: int, width: int, supersample: int = 1, heading: float = 0.0) -> Frame:
    """The panorama (height, width) seen from ``position`` by a camera turned by ``heading`` radians about the vertical."""
    fine = erp_directions(height * supersample, width * supersample)
    return _render(scene, position, erp_directions(height, width), fine, supersample, heading)


def render_camera(scene: Scene, position: Array, camera: Camera, supersample: int = 1, heading: float = 0.0) -> Frame:
    """The perspective view of a camera at ``position`` in a panorama frame turned by ``heading``; normals are in that frame."""
    fine = Camera(camera.width * supersample, camera.height * supersample, camera.fov, camera.rotation)
    return _render(scene, position, camera.directions(), fine.directions(), supersample, heading)


def render(scene: Scene, position: Array, directions: Array) -> Frame:
    """What is seen along unit world directions (H, W, 3), one colour ray a pixel."""
    return _render(scene, position, directions, directions, 1, 0.0)


def _render(scene: Scene, position: Array, directions: Array, fine: Array, supersample: int, heading: float) -> Frame:
    """The truth comes from ``directions`` alone; ``fine`` has ``supersample`` times the pixels and only gives the colours."""
    turn = rotation_from_angles(heading, 0.0)
    height, width = directions.shape[:2]
    rays = directions.reshape(-1, 3) @ turn.T
    hits = cast(scene, np.asarray(position, np.float64), rays)
    colour = shade(scene, position, rays, hits) if supersample == 1 else None
    if colour is None:
        fine_rays = fine.reshape(-1, 3) @ turn.T
        fine_colour = shade(scene, position, fine_rays, cast(scene, np.asarray(position, np.float64), fine_rays))
        colour = fine_colour.reshape(height, supersample, width, supersample, 3).mean(axis=(1, 3)).reshape(-1, 3)
    sky = hits.triangle < 0
    triangle = np.where(sky, 0, hits.triangle)
    return Frame(
        image=_to_srgb(colour * scene.exposure).reshape(height, width, 3),
        depth=np.where(sky, 0, hits.distance).astype(np.float32).reshape(height, width),
        normals=np.where(sky[:, None], 0, hits.normals @ turn).astype(np.float32).reshape(height, width, 3),
        semantics=np.where(sky, 0, scene.classes[triangle]).astype(np.uint8).reshape(height, width),
        instances=np.where(sky, 0, scene.instances[triangle]).astype(np.uint16).reshape(height, width),
        sky=sky.reshape(height, width),
    )


def cast(scene: Scene, position: Array, rays: Array) -> Hits:
    """First hits of unit rays (N, 3) from ``position``.

    Embree finds the triangle in float32; the distance is that to the triangle's plane in float64.
    """
    origins = np.broadcast_to(position.astype(np.float32), rays.shape)
    triangle = scene.caster.run(np.ascontiguousarray(origins), np.ascontiguousarray(rays, np.float32)).astype(np.intp)
    found = triangle >= 0
    safe = np.where(found, triangle, 0)
    normals = scene.normals[safe]
    facing = np.einsum("nc,nc->n", normals, rays)
    plane = np.einsum("nc,nc->n", scene.triangles[safe, 0] - position, normals)
    distance = np.where(found, plane / np.where(np.abs(facing) < 1e-12, 1e-12, facing), 0)
    return Hits(triangle, distance, normals * -np.sign(facing)[:, None])


def shade(scene: Scene, position: Array, rays: Array, hits: Hits) -> Array:
    """Linear RGB (N, 3) of rays: albedo under lights with hard shadows and an an ambient term, or the sky."""
    colour = np.zeros((len(rays), 3), np.float32)
    found = hits.triangle >= 0
    colour[~found] = sky_colour(scene, rays[~found])
    points = position + rays[found] * hits.distance[found, None]
    normals = hits.normals[found]
    material = scene.material[hits.triangle[found]]
    surface = np.zeros((len(points), 3), np.float32)
    glow = np.zeros(len(points), np.float32)
    for index in np.unique(material):
        here = material == index
        surface[here] = albedo(scene.materials[index], points[here], normals[here])
        glow[here] = scene.materials[index].glow
    # Light from above is stronger than light from below, which also tells floors from ceilings.
    light: Array = np.array(scene.ambient, np.float32) * (0.75 - 0.25 * normals[:, 1:2]).astype(np.float32)
    for lamp in scene.lights:
        light = light + _lit(scene, lamp.kind, np.array(lamp.position), np.array(lamp.colour, np.float32), points, normals)
    colour[found] = surface * (light + glow[:, None])
    return colour


def _lit(scene: Scene, kind: str, place: Array, colour: Array, points: Array, normals: Array) -> Array:
    """Light (N, 3) that one lamp or sun brings to points, with shadows."""
    if kind == "sun":
        towards = np.broadcast_to(place / np.linalg.norm(place), points.shape)
        distance = np.full(len(points), 1e4)
        strength = np.ones(len(points))
    else:
        towards = place - points
        distance = np.linalg.norm(towards, axis=1)
        towards = towards / np.maximum(distance, 1e-6)[:, None]
        strength = 1 / (0.6 + distance**2)
    cosine = np.einsum("nc,nc->n", normals, towards)
    lit = cosine > 0
    starts = (points[lit] + normals[lit] * SHADOW_OFFSET).astype(np.float32)
    reach = np.maximum(distance[lit] - 0.25, 1e-3).astype(np.float32)
    blocked = scene.caster.run(starts, np.ascontiguousarray(towards[lit], np.float32), reach, query="OCCLUDED") == 0
    received = np.zeros(len(points), np.float32)
    received[lit] = np.where(blocked, 0, cosine[lit] * strength[lit])
    return received[:, None] * colour


def sky_colour(scene: Scene, rays: Array) -> Array:
    """Linear RGB (N, 3) of the sky: a gradient with clouds and the sun's glare."""
    up = np.clip(-rays[:, 1], 0, 1)[:, None]
    blue = (1 - up) * np.array([0.75, 0.85, 0.95]) + up * np.array([0.22, 0.42, 0.85])
    clouds = np.clip(2.2 * (0.6 * noise(rays * 4, scene.seed) + 0.4 * noise(rays * 11, scene.seed + 1)) - 1.0, 0, 1)[:, None]
    colour = blue * (1 - 0.8 * clouds) + 0.8 * clouds * np.array([0.95, 0.95, 0.97])
    for light in scene.lights:
        if light.kind == "sun":
            aligned = rays @ (np.array(light.position) / np.linalg.norm(light.position))
            colour = colour + np.clip(aligned, 0, 1)[:, None] ** 200 * 2
    return (1.4 * colour).astype(np.float32)


def _to_srgb(linear: Array) -> NDArray[np.uint8]:
    """Linear light to 8 bits, with a soft shoulder for what is bright."""
    mapped = np.clip(linear * (1 + linear / 9) / (1 + linear), 0, 1)
    srgb = np.where(mapped <= 0.0031308, mapped * 12.92, 1.055 * np.power(np.maximum(mapped, 1e-9), 1 / 2.4) - 0.055)
    return np.round(srgb * 255).astype(np.uint8)
