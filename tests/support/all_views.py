"""A teacher that sees all six faces of a panorama at once, and says how far the walls of a box are, up to one factor for all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geometry.cameras import Camera
from geometry.fields import Field
from geometry.layouts import cubemap
from models.teachers import WantedViews

SEES = "views"
READS = ()
WALLS = np.array([2.0, 1.5, 3.0])
FACE = 24


def distances(directions: NDArray[np.floating]) -> NDArray[np.float32]:
    """To the walls of a box, along unit directions (..., 3)."""
    return (WALLS / np.maximum(np.abs(directions), 1e-9)).min(axis=-1).astype(np.float32)


class AllViews:
    """What it says is right but for a factor, 1 + the mean brightness of all that it sees: the same in all views of one call, and
    twice as large through views that are turned."""

    classes = ()
    fields = ("depth",)

    def __call__(self, patches: NDArray[np.uint8], cameras: Sequence[Camera], item: Mapping[str, object]) -> dict[str, Field]:
        assert len(cameras) == 6, "all views, in one call"
        factor = (1 + float(patches.mean()) / 255) * (1 if cameras[0].axis[2] > 0.99 else 2)
        values = np.stack([distances(camera.directions()) for camera in cameras]) * np.float32(factor)
        notes = {"log_scale": float(np.log(factor)), "sky_share": 0.0}
        return {"depth": Field("depth", values, np.ones(values.shape, bool), "shared", "ray", notes=notes)}


def wanted_views(settings: Mapping[str, Any]) -> WantedViews:
    """Six faces of 90 degrees."""
    return WantedViews(cubemap(FACE), f"layout: {{kind: cubemap, fov_degrees: 90}}, patch_size: {FACE}")


def load(settings: Mapping[str, Any], device: str) -> AllViews:
    return AllViews()
