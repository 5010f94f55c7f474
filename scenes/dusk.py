"""Another look of the same scenes: at dusk, of greyer and rougher surfaces, seen by a noisy sensor."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from scenes.textures import Material
from scenes.world import Light, Scene


def at_dusk(scene: Scene, generator: np.random.Generator) -> Scene:
    """The same scene in weak, warm light and blue shade, of greyer and rougher surfaces."""
    lights = tuple(Light(one.kind, one.position, _scaled(one.colour, (0.6, 0.42, 0.28))) for one in scene.lights)
    ambient = _scaled(scene.ambient, (0.45, 0.6, 0.95))
    materials = tuple(_weathered(one) for one in scene.materials)
    return replace(
        scene, lights=lights, ambient=ambient, materials=materials, exposure=scene.exposure * generator.uniform(0.7, 1.1)
    )


def noisy(image: NDArray[np.uint8], generator: np.random.Generator) -> NDArray[np.uint8]:
    """An image (H, W, 3) with a sensor's noise of five grey levels."""
    return np.clip(np.rint(image + generator.normal(0, 5, image.shape)), 0, 255).astype(np.uint8)


def _weathered(material: Material) -> Material:
    grey = float(np.mean(material.colour))
    red, green, blue = (0.5 * value + 0.5 * grey for value in material.colour)
    return replace(material, colour=(red, green, blue), grain=min(2 * material.grain, 1.0))


def _scaled(colour: tuple[float, float, float], by: tuple[float, float, float]) -> tuple[float, float, float]:
    return (colour[0] * by[0], colour[1] * by[1], colour[2] * by[2])
