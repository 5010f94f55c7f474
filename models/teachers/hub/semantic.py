"""Semantic segmentation networks: one score per class and pixel (SegFormer, UperNet, BEiT, DPT and their like)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geometry.cameras import Camera
from geometry.fields import Field
from models.teachers.base import Teacher
from models.teachers.hub.network import Network, in_batches, tensors_in_batches
from models.teachers.postprocess import semantic_names, semantic_tensors


@dataclass(frozen=True)
class SemanticTeacher:
    """Says semantics, and sky where the vocabulary has it."""

    network: Network
    classes: tuple[str, ...]
    fields: tuple[str, ...]

    def __call__(self, patches: NDArray[np.uint8], cameras: Sequence[Camera], item: Mapping[str, object]) -> dict[str, Field]:
        return in_batches(self._say, patches, cameras, self.network.settings.batch_size)

    def on_device(self, patches: NDArray[np.uint8], cameras: Sequence[Camera]) -> list[dict[str, Any]]:
        """The same as fields of tensors that stay on the network's device, one mapping for each forward pass."""
        return tensors_in_batches(self._say, patches, cameras, self.network.settings.batch_size)

    def _say(self, patches: NDArray[np.uint8], cameras: Sequence[Camera]) -> dict[str, Any]:
        return semantic_tensors(self.network(patches).logits, self.classes, patches.shape[1:3])


def build_semantic(network: Network) -> Teacher:
    """The teacher of a network of class ``*ForSemanticSegmentation``."""
    return SemanticTeacher(network, network.classes, semantic_names(network.classes))
