"""How a seamless network learns: from crops of labelled images, whose losses it makes itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from models.learner import Group, Learner
from models.seamless.network import SeamlessNetwork, Target
from models.seamless.saved import SeamlessModel
from models.seamless.semantic import SemanticNetwork

Crops = tuple[NDArray[np.uint8], Sequence[Target]]
"""A batch: images (B, h, w, 3), and what is learned of each."""


class Losses(nn.Module):
    """The network's losses as a forward pass, through which alone several processes share gradients."""

    def __init__(self, network: SeamlessNetwork | SemanticNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor, targets: list[Target], generator: torch.Generator) -> dict[str, Tensor]:
        """As :meth:`SeamlessNetwork.losses`."""
        return self.network.losses(images, targets, generator)


class VisibleLosses(Losses):
    """Without whole masks, which would teach the amodal branch that there are no objects."""

    def forward(self, images: Tensor, targets: list[Target], generator: torch.Generator) -> dict[str, Tensor]:
        """As :class:`Losses`, without the terms of that branch."""
        terms = super().forward(images, targets, generator)
        return {name: term for name, term in terms.items() if not name.startswith("amodals.")}


def on_device(crops: Crops, images: SeamlessModel, device: torch.device) -> tuple[Tensor, list[Target]]:
    """A batch as the network takes it: normalised images (B, 3, h, w), and their targets."""
    pixels, targets = crops
    return images.normalised(pixels).to(device), [target.to(device) for target in targets]


@dataclass
class SourceLearner(Learner):
    """Source training: ``rate`` of the encoder, ``head_rate`` times that of all else. ``amodal``: masks are whole."""

    source: SeamlessModel
    rate: float
    head_rate: float
    amodal: bool

    def __post_init__(self) -> None:
        self.model = (Losses if self.amodal else VisibleLosses)(self.source.network)

    def groups(self) -> list[Group]:
        """The encoder, and all else."""
        named = list(self.source.network.named_parameters())
        inner = [parameter for name, parameter in named if name.startswith("encoder.")]
        others = [parameter for name, parameter in named if not name.startswith("encoder.")]
        return [Group(inner, self.rate), Group(others, self.rate * self.head_rate)]

    def losses(self, model: nn.Module, batch: Crops, generator: torch.Generator) -> dict[str, Tensor]:
        """As :meth:`SeamlessNetwork.losses`."""
        device = next(self.model.parameters()).device
        terms: dict[str, Tensor] = model(*on_device(batch, self.source, device), generator)
        return terms
