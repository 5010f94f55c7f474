"""The views of a clip that a captioner is shown: level ones all around at a few times, right way up."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from geometry.cameras import Camera
from geometry.resampling.patches import extract_patches
from models.captioners.base import LabelledView
from tasks.caption.settings import Views

VIEWS_VERSION = "1"
"""Raised when the same frames would give other views: what was asked of these is no answer then."""
QUARTERS: dict[float, str] = {0: "ahead", 90: "to the right", 180: "behind", 270: "to the left"}


def cameras_of(settings: Views) -> dict[str, Camera]:
    """The cameras that look at a panorama, by where they look."""
    yaws = [360 * number / settings.yaws for number in range(settings.yaws)]
    level = {QUARTERS.get(yaw, f"{yaw:.0f} degrees to the right"): (yaw, 0.0) for yaw in yaws}
    poles = {"up": (0.0, 90.0)} if settings.zenith else {}
    poles |= {"down": (0.0, -90.0)} if settings.nadir else {}
    fov = np.radians(settings.fov_degrees)
    return {
        name: Camera.looking(settings.width, settings.height, fov, np.radians(yaw), np.radians(pitch))
        for name, (yaw, pitch) in (level | poles).items()
    }


def views_of(panoramas: Sequence[NDArray[np.uint8]], seconds: Sequence[float], settings: Views) -> tuple[LabelledView, ...]:
    """The views of a clip's panoramas (H, W, 3), which are shown so many seconds after its beginning; panorama by panorama."""
    cameras = cameras_of(settings)
    found: list[LabelledView] = []
    for panorama, second in zip(panoramas, seconds, strict=True):
        patches = extract_patches(panorama, tuple(cameras.values()))
        found += [LabelledView(f"{second:.1f} s, looking {name}", pixels) for name, pixels in zip(cameras, patches, strict=True)]
    return tuple(found)
