"""What each field's views see of an ERP image, and how far each of their pixels is trusted there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geometry.observed import views_of
from geometry.resampling.backproject import BackProjection, view_weight
from geometry.spheres import View

Looks = Mapping[str, "Look"]
"""By the name of a field, what its views see."""


@dataclass(frozen=True, eq=False)
class Look:
    """N views of a panorama: their ``cameras``, their ``views`` of its ERP image, and ``geometric``, N weights (h, w) float32."""

    cameras: tuple[View, ...]
    views: Sequence[BackProjection]
    geometric: Sequence[NDArray[np.float32]]

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the ERP image."""
        return self.views[0].height, self.views[0].width

    def count(self) -> NDArray[np.uint8]:
        """How many of the views look at each pixel (H, W)."""
        count = np.zeros(self.size, np.uint8)
        for view in self.views:
            for box in view.boxes:
                count[box.rows, box.columns] += view.seen(box)
        return count


def looks_of(
    names: Iterable[str],
    cameras: Sequence[View] | Mapping[str, Sequence[View]],
    size: tuple[int, int],
    off_axis_power: float,
    edge_feather: float,
    observed: NDArray[np.bool_] | None = None,
) -> dict[str, Look]:
    """What the views of each field see of an ERP image; fields with the same views share one.

    Parameters
    ----------
    names : of the fields
    cameras : those of all fields, or by name of each
    size : height and width of the ERP image
    off_axis_power, edge_feather
        As :func:`geometry.resampling.backproject.view_weight` takes them.
    observed : (height, width) bool, optional
        What was photographed.

    Raises
    ------
    ValueError
        There are no cameras, or none of a field.
    """
    own = cameras if isinstance(cameras, Mapping) else dict.fromkeys([*names] or ["none"], cameras)
    if not own or not all(own.values()):
        raise ValueError("fuse needs at least one camera")
    if missing := sorted(set(names) - own.keys()):
        raise ValueError(f"fuse needs the cameras of each field, and has none of {', '.join(missing)}")
    found: dict[tuple[View, ...], Look] = {}
    for layout in map(tuple, own.values()):
        if layout not in found:
            geometric = [view_weight(camera, off_axis_power, edge_feather) for camera in layout]
            found[layout] = Look(layout, views_of(layout, *size, observed), geometric)
    return {name: found[tuple(layout)] for name, layout in own.items()}
