"""Networks that say depth, normals and semantics at once, from one forward pass (TIPSv2), or normals alone."""

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
from models.teachers.postprocess import depth_tensors, normals_tensors, semantic_names, semantic_tensors
from models.teachers.settings import DepthUnit
from models.teachers.units import depth_unit


@dataclass(frozen=True)
class DenseTeacher:
    """Says those of depth, normals and semantics that the task asks for."""

    network: Network
    classes: tuple[str, ...]
    fields: tuple[str, ...]
    unit: DepthUnit | None

    def __call__(self, patches: NDArray[np.uint8], cameras: Sequence[Camera], item: Mapping[str, object]) -> dict[str, Field]:
        return in_batches(self._say, patches, cameras, self.network.settings.batch_size)

    def on_device(self, patches: NDArray[np.uint8], cameras: Sequence[Camera]) -> list[dict[str, Any]]:
        """The same as fields of tensors that stay on the network's device, one mapping for each forward pass."""
        return tensors_in_batches(self._say, patches, cameras, self.network.settings.batch_size)

    def _say(self, patches: NDArray[np.uint8], cameras: Sequence[Camera]) -> dict[str, Any]:
        said, size, settings = self.network(patches), patches.shape[1:3], self.network.settings
        fields: dict[str, Any] = {}
        if self.unit:
            fields["depth"] = depth_tensors(said.predicted_depth, size, self.unit, "axis", settings.depth_max)
        if "normals" in self.fields:
            fields["normals"] = normals_tensors(said.normals, size, settings.normals_axes)
        if "semantics" in self.fields:
            fields |= semantic_tensors(said.segmentation_logits, self.classes, size)
        return fields


def build_dense(network: Network) -> Teacher:
    """The teacher of a network of class ``*ForDensePrediction`` or ``*ForNormalEstimation``."""
    task = network.settings.task
    classes = network.classes if task in ("dense", "semantics") else ()
    names = {"dense": ("depth", "normals", "semantics")}.get(str(task), (str(task),))
    fields = tuple(field for name in names for field in (semantic_names(classes) if name == "semantics" else (name,)))
    unit = depth_unit(network.config, network.settings.depth_unit) if "depth" in fields else None
    return DenseTeacher(network, classes, fields, unit)
