"""A teacher that knows distances up to a scale of each view's own, or their inverses up to an offset too; the sky has one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geometry.cameras import Camera
from geometry.fields import Field
from scenes.teacher import Corruptions, ScenesTeacher

FAR = 80.0
"""Metres along the optical axis that the sky has."""


class ScalelessTeacher(ScenesTeacher):
    """The truth of a procedural panorama, without its scale."""

    unit: str = "scale"
    level: float = 1.0

    def __call__(self, patches: NDArray[np.uint8], cameras: Sequence[Camera], item: Mapping[str, object]) -> dict[str, Field]:
        said = super().__call__(patches, cameras, item)
        axis = np.stack([camera.rays()[..., 2] for camera in cameras])
        distance = np.where(said["depth"].valid, said["depth"].values, FAR / axis)
        factors, offsets = np.stack([_numbers_of(camera) for camera in cameras], axis=1)[..., None, None]
        if self.unit == "inverse":
            values = self.level * factors * (1 / distance + 0.01 * offsets * axis)
        else:
            values = self.level * factors * distance
        everywhere = np.ones(distance.shape, bool)
        return {**said, "depth": replace(said["depth"], values=values.astype(np.float32), valid=everywhere, unit=self.unit)}


def _numbers_of(camera: Camera) -> NDArray[np.float64]:
    """A factor and an offset that follow from the view alone, whatever the batch."""
    seed = np.frombuffer(camera.axis.tobytes(), np.uint32)
    return np.random.default_rng(seed).uniform((0.5, -1), (2, 1))


def load(settings: Mapping[str, Any], device: str = "cpu") -> ScalelessTeacher:
    """The teacher with the settings ``unit`` and ``level``, the number that it says of a metre."""
    teacher = ScalelessTeacher(Corruptions())
    object.__setattr__(teacher, "unit", settings["unit"])
    object.__setattr__(teacher, "level", settings["level"])
    return teacher
