"""A teacher that sees a panorama at once: depth and classes off the brightness of each of its pixels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geometry.fields import Field
from geometry.spheres import Sphere

SEES = "panorama"
READS = ()


class WholePanorama:
    classes = ("dark", "bright")
    fields = ("depth", "semantics")

    def __call__(self, patches: NDArray[np.uint8], cameras: Sequence[Sphere], item: Mapping[str, object]) -> dict[str, Field]:
        brightness = patches.mean(axis=-1, dtype=np.float32) / 255
        everywhere = np.ones(brightness.shape, bool)
        label = (brightness > 0.5).astype(np.uint16)[..., None]
        return {
            "depth": Field("depth", 1 + brightness, everywhere, "metre", "ray"),
            "semantics": Field("semantics", label, everywhere, "class", confidence=np.ones(label.shape, np.float32)),
        }


def load(settings: Mapping[str, Any], device: str) -> WholePanorama:
    return WholePanorama()
