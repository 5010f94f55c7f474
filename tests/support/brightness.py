"""A teacher that reads everything off the brightness of a pixel, so that its labels are known in closed form.

Its one weight, a factor, lies in the JSON file that the setting ``weights`` names.
"""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geometry.cameras import Camera
from geometry.fields import Field
from models.teachers import CannotLabel


class BrightnessTeacher:
    classes = ("dark", "bright")
    fields = ("depth", "normals", "semantics")

    def __init__(self, factor: float, fail_on: str, kill_on: str) -> None:
        self.factor, self.fail_on, self.kill_on = factor, fail_on, kill_on

    def __call__(self, patches: NDArray[np.uint8], cameras: Sequence[Camera], item: Mapping[str, object]) -> dict[str, Field]:
        if item["item"] == self.fail_on:
            raise CannotLabel("this panorama is too much for the teacher")
        if item["item"] == self.kill_on:
            os.kill(os.getpid(), signal.SIGKILL)
        brightness = patches.mean(axis=-1, dtype=np.float32) / 255
        everywhere = np.ones(brightness.shape, bool)
        towards = np.stack([-camera.directions() for camera in cameras]).astype(np.float32)
        share = np.stack([brightness, 1 - brightness], axis=-1)
        order = np.argsort(-share, axis=-1)
        return {
            "depth": Field("depth", (1 + brightness) * self.factor, everywhere, "metre", "ray"),
            "normals": Field("normals", towards, everywhere, "unit", "world"),
            "semantics": Field(
                "semantics",
                (1 - order).astype(np.uint16),
                everywhere,
                "class",
                confidence=np.take_along_axis(share, order, axis=-1).astype(np.float32),
            ),
        }


def load(settings: Mapping[str, Any], device: str) -> BrightnessTeacher:
    """The teacher with the weights in ``settings["weights"]``."""
    factor = json.loads(Path(settings["weights"]).read_text())["factor"]
    return BrightnessTeacher(factor, settings.get("fail_on", ""), settings.get("kill_on", ""))
