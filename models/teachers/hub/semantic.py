"""Semantic segmentation networks: one score per class and pixel (SegFormer, UperNet, BEiT, DPT and their like)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geometry.cameras import Camera
from geometry.fields import Field
from models.teachers.base import Teacher
from models.teachers.hub.network import Network, in_batches
from models.teachers.postprocess import semantic_fields, semantic_names


@dataclass(frozen=True)
class SemanticTeacher:
    """Says semantics, and sky where the vocabulary has it."""

    network: Network
    classes: tuple[str, ...]
    fields: tuple[str, ...]

    def __call__(self, patches: NDArray[np.uint8], cameras: Sequence[Camera], item: Mapping[str, object]) -> dict[str, Field]:
        return in_batches(self._say, patches, cameras, self.network.settings.batch_size)

    def _say(self, patches: NDArray[np.uint8], cameras: Sequence[Camera]) -> dict[str, Field]:
        return semantic_fields(self.network(patches).logits, self.classes, patches.shape[1:3])


def build_semantic(network: Network) -> Teacher:
    """The teacher of a network of class ``*ForSemanticSegmentation``."""
    return SemanticTeacher(network, network.classes, semantic_names(network.classes))
