"""A scene: triangles with classes, instances and materials, lights, and places where a camera may stand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import trimesh
from numpy.typing import NDArray

from scenes.textures import Material
from scenes.vocabulary import ID, THINGS

Array = NDArray[np.floating]


@dataclass(frozen=True)
class Light:
    """A sun (``position`` is then the direction towards it) or a lamp (falls off with the squared distance)."""

    kind: str
    position: tuple[float, float, float]
    colour: tuple[float, float, float]


@dataclass(frozen=True)
class Scene:
    """Everything there is to see. World frame: x right, y down, z forward, metres; the ground lies at y = 0.

    ``triangles`` (T, 3, 3) float64; ``classes`` (T,) uint8; ``instances`` (T,) uint16, 0 for stuff; ``material`` (T,) index into
    ``materials``. ``spots`` (S, 3) are the places for a camera, at eye height, clear of objects.
    """

    kind: str
    seed: int
    triangles: Array
    classes: NDArray[np.uint8]
    instances: NDArray[np.uint16]
    material: NDArray[np.int32]
    materials: tuple[Material, ...]
    lights: tuple[Light, ...]
    ambient: tuple[float, float, float]
    exposure: float
    spots: Array

    def free_position(self, generator: np.random.Generator) -> Array:
        """A place for a camera (3,), drawn from the scene's spots."""
        return self.spots[generator.integers(len(self.spots))]

    @cached_property
    def normals(self) -> Array:
        """Unit normals (T, 3) float64; which way they face is for the viewer to decide."""
        edges = self.triangles[:, 1:] - self.triangles[:, :1]
        normals = np.cross(edges[:, 0], edges[:, 1])
        return normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)

    @cached_property
    def caster(self) -> Any:
        """Embree's acceleration structure over all triangles."""
        return embree_scene(self.triangles)


def embree_scene(triangles: Array) -> Any:
    """Embree's acceleration structure over triangles (T, 3, 3)."""
    from embreex.mesh_construction import TriangleMesh
    from embreex.rtcore_scene import EmbreeScene

    scene = EmbreeScene()
    TriangleMesh(scene, np.ascontiguousarray(triangles, np.float32))
    return scene


@lru_cache(maxsize=8)
def _primitive(name: str) -> Array:
    """Triangles (T, 3, 3) of a unit box, cylinder, ball or cone that stands on y = 0 and reaches up to y = -1."""
    mesh = {
        "box": lambda: trimesh.creation.box((1, 1, 1)),
        "cylinder": lambda: trimesh.creation.cylinder(0.5, 1, sections=20),
        "ball": lambda: trimesh.creation.icosphere(2, 0.5),
        "cone": lambda: trimesh.creation.cone(0.5, 1, sections=20),
    }[name]()
    triangles = np.asarray(mesh.triangles, np.float64)
    if name in ("cylinder", "cone"):  # their axis is z
        triangles = triangles[..., [0, 2, 1]]
    low, high = triangles[..., 1].min(), triangles[..., 1].max()
    height = (triangles[..., 1] - low) / (high - low)
    return np.stack([triangles[..., 0], -height, triangles[..., 2]], axis=-1)


@dataclass
class Builder:
    """Collects solids; heights are given upwards from the ground, and turned into y-down here."""

    triangles: list[Array] = field(default_factory=list)
    classes: list[int] = field(default_factory=list)
    instances: list[int] = field(default_factory=list)
    material: list[int] = field(default_factory=list)
    materials: list[Material] = field(default_factory=list)
    _next_instance: int = 1

    def instance(self) -> int:
        """A number for a new object."""
        self._next_instance += 1
        return self._next_instance - 1

    def add(
        self,
        shape: str,
        name: str,
        material: Material,
        centre: Sequence[float],
        size: Sequence[float],
        base: float = 0.0,
        yaw: float = 0.0,
        instance: int = 0,
        offset: Sequence[float] = (0.0, 0.0),
    ) -> None:
        """Add a solid.

        Parameters
        ----------
        shape : box, cylinder, ball or cone
        name : class name
        material : Material
        centre : x, z of the object
        size : width (x), height, depth (z) in metres
        base : height of the solid's underside above the ground
        yaw : the object's turn about the vertical, radians
        instance : object number for things, from :meth:`instance`
        offset : x, z of this part in the object's own turned frame
        """
        local = _primitive(shape) * np.array([size[0], size[1], size[2]]) + np.array([offset[0], -base, offset[1]])
        cos, sin = np.cos(yaw), np.sin(yaw)
        turned = local @ np.array([[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]]).T
        self.triangles.append(turned + np.array([centre[0], 0, centre[1]]))
        if material not in self.materials:
            self.materials.append(material)
        label = ID[name]
        count = len(local)
        self.classes += [label] * count
        self.instances += [instance if label in THINGS else 0] * count
        self.material += [self.materials.index(material)] * count

    def scene(self, **rest: Any) -> Scene:
        """The finished scene."""
        return Scene(
            triangles=np.concatenate(self.triangles),
            classes=np.array(self.classes, np.uint8),
            instances=np.array(self.instances, np.uint16),
            material=np.array(self.material, np.int32),
            materials=tuple(self.materials),
            **rest,
        )


@dataclass
class Footprints:
    """Circles on the ground that are taken."""

    circles: list[tuple[float, float, float]] = field(default_factory=list)

    def free(self, x: float, z: float, radius: float) -> bool:
        """Whether a circle touches none of those taken."""
        return all(np.hypot(x - cx, z - cz) >= radius + other for cx, cz, other in self.circles)

    def take(self, x: float, z: float, radius: float) -> None:
        """Take a circle."""
        self.circles.append((x, z, radius))
