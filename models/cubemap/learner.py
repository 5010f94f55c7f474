"""How a cubemap network learns: from the six faces of labelled panoramas."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from models.cubemap.configuration import face_cameras
from models.cubemap.losses import TermWeights, Truth, anchor_loss, cubemap_losses
from models.cubemap.network import CubemapNetwork, normalised
from models.cubemap.outputs import world_normals
from models.learner import Group, Learner


@dataclass(frozen=True, eq=False)
class LabelledFaces:
    """A batch: ``faces`` (B, 6, h, w, 3) uint8 as :func:`face_cameras` cuts them, what is true of them, the panoramas' names."""

    faces: Tensor
    truth: Truth
    items: Sequence[str]


@dataclass
class CubemapLearner(Learner):
    """``rate`` of the backbone and the encoder of cameras, ``head_rate`` times that of the heads."""

    model: CubemapNetwork
    rate: float
    head_rate: float = 1.0
    weights: TermWeights = field(default_factory=TermWeights)

    def groups(self) -> list[Group]:
        """What looks, and what answers."""
        heads = list(self.model.model.head.parameters())
        known = {id(one) for one in heads}
        inner = [one for one in self.model.parameters() if one.requires_grad and id(one) not in known]
        return [Group(inner, self.rate), Group(heads, self.rate * self.head_rate)]

    def losses(self, model: nn.Module, batch: LabelledFaces, generator: torch.Generator) -> dict[str, Tensor]:
        """Those of :mod:`models.cubemap.losses`, each times its weight; those that weigh nothing are left out."""
        config, device = self.model.config, next(self.model.parameters()).device
        cameras = face_cameras(config)
        said = model(normalised(batch.faces.to(device, non_blocking=True), config), cameras)
        with torch.autocast(device.type, enabled=False):  # differences of labels need all their digits
            normals = None if said.normals is None else world_normals(said.normals, cameras, config.conventions)
            truth = batch.truth.to(device)
            terms = cubemap_losses(said, normals, truth)
            if said.log_depth is not None:
                terms["anchor"] = anchor_loss(said.log_depth, truth.weight)
        weights = vars(self.weights)
        return {name: weights[name] * term for name, term in terms.items() if weights[name]}
