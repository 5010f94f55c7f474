"""A panorama with finished labels, as what is written in three dimensions is made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geometry.directions import erp_area_weights
from geometry.surfaces.incidence import MAX_INCIDENCE, torn
from storage.fingerprint import digest
from tasks.ingest.images.resizing import resize_image
from tasks.solids.poses import Pose
from tasks.stage.job import BadItem


@dataclass(frozen=True)
class Scan:
    """A panorama.

    ``labels`` decoded ERP labels (H, W[, 3]); ``image`` (h, w, 3) uint8 in its own size; ``max_incidence`` in radians: see
    :mod:`geometry.surfaces.incidence`; ``most`` points, drawn evenly over the sphere by the item's name, or all; ``classes`` is
    the vocabulary of ``semantics``.
    """

    item: str
    labels: Mapping[str, NDArray[Any]]
    image: NDArray[np.uint8]
    max_incidence: float = MAX_INCIDENCE
    pose: Pose = field(default_factory=Pose)
    most: int | None = None
    classes: tuple[str, ...] = ()

    @property
    def depth(self) -> NDArray[np.float32]:
        """Distances (H, W).

        Raises
        ------
        BadItem
            There is no depth, or no pixel has any.
        """
        if "depth" not in self.labels or not self.labels["depth_valid"].any():
            raise BadItem("has no distances, so there is nothing to write in three dimensions")
        return self.labels["depth"]

    @cached_property
    def kept(self) -> NDArray[np.bool_]:
        """Pixels (H, W) that make points: with a distance, and not at a tear.

        Raises
        ------
        BadItem
            There is none.
        """
        depth, known = self.depth, self.labels["depth_valid"]
        kept = known & ~torn(depth, known, self.max_incidence)
        if not kept.any():
            raise BadItem("its distances make no surface; --max-incidence 90 takes them all the same")
        return kept

    def drawn(self) -> tuple[NDArray[np.bool_], NDArray[np.float32]]:
        """Which of the pixels ``kept`` make points, (H, W), and the solid angle (H, W) that each of those stands for."""
        height, width = self.kept.shape
        area = np.broadcast_to(erp_area_weights(height)[:, None], self.kept.shape) * (2 * np.pi**2 / (height * width))
        if self.most is None:
            return self.kept, area.astype(np.float32)
        chance = np.minimum(1, self.most * area / area[self.kept].sum())
        generator = np.random.default_rng(int(digest(self.item.encode())[:16], 16))
        return self.kept & (generator.random(area.shape) < chance), (area / chance).astype(np.float32)

    @property
    def colours(self) -> NDArray[np.uint8]:
        """Colours (H, W, 3) of the labels' pixels."""
        return resize_image(self.image, len(self.depth))
