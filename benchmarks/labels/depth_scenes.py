"""Views of procedural panoramas with the errors of real teachers: a scale and a slow bias per view, blurred edges, noise, and a
distance in the sky, which networks give it like anything else.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from geometry.cameras import Camera
from geometry.fields import Field, canonical
from scenes.build import build_scene
from scenes.render import cast
from scenes.world import Scene

Array = NDArray[np.floating]
SKY_DISTANCE = 80.0  # metres along the optical axis: the farthest that many metric networks say


@dataclass(frozen=True)
class Errors:
    """Standard deviation of each view's log scale; of its slow log bias (slow waves across the patch, of mean zero);
    standard deviation in patch pixels of the blur of log distance."""

    scale: float = 0.1
    bias: float = 0.03
    blur: float = 1.0


@dataclass(frozen=True)
class NormalErrors:
    """Standard deviation in degrees, about each axis, of a normal's slow tilt (slow waves across the patch) and of its tilt pixel
    by pixel; standard deviation in patch pixels of the blur."""

    slow: float = 3.0
    white: float = 5.0
    blur: float = 1.0


@dataclass(frozen=True)
class Capture:
    """A scene and the place of the camera."""

    scene: Scene
    position: Array

    def distances(self, directions: Array) -> Array:
        """True radial distance (...) in metres along unit directions (..., 3), zero in the sky."""
        hits = cast(self.scene, self.position, directions.reshape(-1, 3))
        return np.where(hits.triangle < 0, 0, hits.distance).reshape(directions.shape[:-1])

    def normals(self, directions: Array) -> Array:
        """True normals (..., 3) along unit directions (..., 3), facing the camera, zero in the sky."""
        hits = cast(self.scene, self.position, directions.reshape(-1, 3))
        return np.where(hits.triangle[:, None] < 0, 0, hits.normals).reshape(directions.shape)


def capture(kind: str, seed: int) -> Capture:
    """A ``room`` or a ``street``."""
    scene = build_scene(kind, seed)
    return Capture(scene, scene.free_position(np.random.default_rng(seed)))


def wrong_views(place: Capture, cameras: Sequence[Camera], errors: Errors, seed: int) -> dict[str, Field]:
    """The fields ``depth`` and ``sky`` that a teacher with these errors says of the views; the sky's distance is wrong alike."""
    generator = np.random.default_rng(seed)
    true = np.stack([place.distances(camera.directions()) for camera in cameras])
    sky: NDArray[np.bool_] = true <= 0
    dome = np.stack([SKY_DISTANCE / camera.rays()[..., 2] for camera in cameras])
    said = np.stack([_wrong(one, errors, generator) for one in np.where(sky, dome, true)])
    everywhere = np.ones_like(sky)
    return {
        "depth": Field("depth", said.astype(np.float32), everywhere, "metre", "ray"),
        "sky": Field("sky", sky.astype(np.float32), everywhere, "probability"),
    }


def wrong_normals(place: Capture, cameras: Sequence[Camera], errors: NormalErrors, seed: int) -> Field:
    """The field ``normals`` that a teacher with these errors says of the views."""
    generator = np.random.default_rng((seed, 1))
    said = np.stack([_tilted(place.normals(camera.directions()), errors, generator) for camera in cameras])
    return canonical(Field("normals", said.astype(np.float32), said.any(axis=-1), "unit", "world"), cameras)


def _tilted(true: Array, errors: NormalErrors, generator: np.random.Generator) -> Array:
    """One view's normals; zero in the sky."""
    height, width, _ = true.shape
    normals = cv2.GaussianBlur(true, (0, 0), errors.blur) if errors.blur > 0 else true
    normals = normals / np.maximum(np.linalg.norm(normals, axis=-1, keepdims=True), 1e-6)
    slow = np.stack([_waves(height, width, generator) for _ in range(3)], axis=-1)
    tilt = np.radians(errors.slow) * slow + np.radians(errors.white) * generator.normal(size=true.shape)
    return (normals + tilt) * true.any(axis=-1, keepdims=True)


def _wrong(true: Array, errors: Errors, generator: np.random.Generator) -> Array:
    """One view's distances."""
    log = np.log(true)
    if errors.blur > 0:
        log = cv2.GaussianBlur(log, (0, 0), errors.blur)
    bias = _waves(true.shape[0], true.shape[1], generator) * errors.bias
    return np.exp(log + bias + errors.scale * generator.normal())


def _waves(height: int, width: int, generator: np.random.Generator) -> Array:
    """A slow random field (height, width) of mean 0 and standard deviation 1: six plane waves of 0.2 to 1 periods a patch.

    Waves, because our own alignment fits quadratics: what it could fit exactly would flatter it.
    """
    y, x = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    field = np.zeros((height, width))
    for _ in range(6):
        angle, phase, periods = generator.uniform(0, 2 * np.pi), generator.uniform(0, 2 * np.pi), generator.uniform(0.2, 1)
        field += generator.normal() * np.sin(2 * np.pi * periods * (x * np.cos(angle) + y * np.sin(angle)) + phase)
    return (field - field.mean()) / field.std()
