"""Depth networks: Depth Anything V2, DepthPro, ZoeDepth, DPT, GLPN, and the depth head of TIPSv2."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from geometry.cameras import Camera
from geometry.fields import Field
from models.teachers.base import Teacher
from models.teachers.hub.network import Network, in_batches, tensors_in_batches
from models.teachers.postprocess import depth_tensors
from models.teachers.settings import DepthUnit
from models.teachers.units import depth_unit


@dataclass(frozen=True)
class DepthTeacher:
    """Says depth, along the optical axis, in ``unit``."""

    network: Network
    unit: DepthUnit
    classes: tuple[str, ...] = ()
    fields: tuple[str, ...] = ("depth",)

    def __call__(self, patches: NDArray[np.uint8], cameras: Sequence[Camera], item: Mapping[str, object]) -> dict[str, Field]:
        return in_batches(self._say, patches, cameras, self._batch_size)

    def on_device(self, patches: NDArray[np.uint8], cameras: Sequence[Camera]) -> list[dict[str, Any]]:
        """The same as fields of tensors that stay on the network's device, one mapping for each forward pass."""
        return tensors_in_batches(self._say, patches, cameras, self._batch_size)

    @property
    def _batch_size(self) -> int | None:
        # Of several heads, ZoeDepth takes the one that a batch as a whole votes for, so its batches are of one.
        heads = len(getattr(self.network.config, "bin_configurations", None) or ())
        return 1 if heads > 1 else self.network.settings.batch_size

    def _say(self, patches: NDArray[np.uint8], cameras: Sequence[Camera]) -> dict[str, Any]:
        values = self.network(patches).predicted_depth.float()
        if self.network.config.model_type == "depth_pro":
            values = self._from_canonical(values, cameras)
        size = patches.shape[1:3]
        spec, most = self.network.spec, self.network.settings.depth_max
        return {"depth": depth_tensors(values, size, self.unit, "axis", most, spec.border(*size), corners=spec.reflect_border)}

    def _from_canonical(self, canonical_inverse: torch.Tensor, cameras: Sequence[Camera]) -> torch.Tensor:
        """DepthPro says the inverse depth that a camera as wide as its focal length would see; undo that with the true one."""
        widths: Any = [camera.width / camera.focal for camera in cameras]
        inverse = canonical_inverse * torch.tensor(widths, device=canonical_inverse.device)[:, None, None]
        return inverse if self.unit == "inverse" else 1 / inverse.clamp(1e-4, 1e4)


def build_depth(network: Network) -> Teacher:
    """The teacher of a network of class ``*ForDepthEstimation``."""
    return DepthTeacher(network, depth_unit(network.config, network.settings.depth_unit))
