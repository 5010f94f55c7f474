"""A panorama with finished labels, as what is written in three dimensions is made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geometry.cameras import rotation_from_angles
from geometry.directions import erp_area_weights
from geometry.surfaces.incidence import MAX_INCIDENCE
from storage.fingerprint import digest
from tasks.ingest.images.resizing import resize_image
from tasks.stage.job import BadItem


@dataclass(frozen=True)
class Pose:
    """Where a panorama's camera stood, and which way it was turned: its frame -> the world's, both x right, y down, z forward.

    ``position`` in the unit of the depth; ``heading`` in radians about the vertical, to the right.
    """

    position: tuple[float, float, float] = (0.0, 0.0, 0.0)
    heading: float = 0.0

    @property
    def matrix(self) -> NDArray[np.float64]:
        """Rotation (3, 3), panorama -> world."""
        return np.asarray(rotation_from_angles(self.heading, 0.0), np.float64)

    def turned(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """Directions (N, 3) of the panorama in the world."""
        return vectors if self.heading == 0 else (vectors @ self.matrix.T).astype(np.float32)

    def placed(self, points: NDArray[np.float32]) -> NDArray[np.float32]:
        """Points (N, 3) of the panorama in the world."""
        return points if self == Pose() else (points @ self.matrix.T + self.position).astype(np.float32)


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

    def drawn(self, kept: NDArray[np.bool_]) -> tuple[NDArray[np.bool_], NDArray[np.float32]]:
        """Which of the pixels ``kept`` (H, W) make points, and the solid angle (H, W) that each of those stands for."""
        height, width = kept.shape
        area = np.broadcast_to(erp_area_weights(height)[:, None], kept.shape) * (2 * np.pi**2 / (height * width))
        if self.most is None or not kept.any():
            return kept, area.astype(np.float32)
        chance = np.minimum(1, self.most * area / area[kept].sum())
        generator = np.random.default_rng(int(digest(self.item.encode())[:16], 16))
        return kept & (generator.random(kept.shape) < chance), (area / chance).astype(np.float32)

    @property
    def colours(self) -> NDArray[np.uint8]:
        """Colours (H, W, 3) of the labels' pixels."""
        return resize_image(self.image, len(self.depth))


def z_up(vectors: NDArray[np.floating]) -> NDArray[np.floating]:
    """World vectors (..., 3) in the frame of surveys and maps: x right, y forward, z up."""
    return np.stack([vectors[..., 0], vectors[..., 2], -vectors[..., 1]], axis=-1)
