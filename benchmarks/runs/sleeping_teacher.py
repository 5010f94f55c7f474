"""A teacher that takes a fixed time and no processor: what a run costs besides its models can be measured with it."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geometry.cameras import Camera
from geometry.fields import Field

READS = ()
"""It looks at pixels alone."""


class SleepingTeacher:
    """Says that everything is as many metres away as it is bright, after ``seconds``."""

    classes = ()
    fields = ("depth",)

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def __call__(self, patches: NDArray[np.uint8], cameras: Sequence[Camera], item: Mapping[str, object]) -> dict[str, Field]:
        """Distances in metres along the ray for (N, h, w, 3) uint8 patches."""
        time.sleep(self.seconds)
        brightness = patches.mean(axis=-1, dtype=np.float32) / 255
        return {"depth": Field("depth", 1 + brightness, np.ones(brightness.shape, bool), "metre", "ray")}


def load(settings: Mapping[str, Any], device: str) -> SleepingTeacher:
    """The teacher that takes ``settings["seconds"]`` a call."""
    return SleepingTeacher(settings["seconds"])
