"""What the release adds to the loss of an adaptation, off by default: an anchor at the source weights, and semantic ClassMix."""

from __future__ import annotations

from copy import deepcopy

import torch

from models.adaptation.class_mixing import IGNORED, mix_classes, sure_share, weighted_cross_entropy
from models.seamless.losses import anchor_distance
from models.seamless.network import SeamlessNetwork
from models.seamless.semantic import SemanticNetwork
from tasks.adapt.settings import AdaptTraining

INERTIA = 0.999
"""Share of the teacher's weights that a step keeps; the rest are the network's."""
SURE = 0.968
"""A crop weighs as much as the share of its pixels of which the teacher is that sure."""


class Additions:
    """Terms beside the network's own losses, and the state behind them."""

    def __init__(self, network: SeamlessNetwork | SemanticNetwork, settings: AdaptTraining) -> None:
        self.settings = settings
        self.source = [parameter.detach().clone() for parameter in network.parameters()] if settings.anchor else []
        self.teacher = deepcopy(network).eval().requires_grad_(False) if settings.classmix else None

    def terms(
        self,
        network: SeamlessNetwork | SemanticNetwork,
        images: torch.Tensor,
        generator: torch.Generator,
        blank: torch.Tensor | None = None,
    ) -> dict[str, torch.Tensor]:
        """Weighted scalars by name, of a batch of normalised images (B, 3, H, W); empty if both are off.

        ``blank`` (B, H, W) bool, where an image shows nothing that was photographed: nothing is learned there.
        """
        found = {}
        if self.source:
            found["anchor"] = self.settings.anchor * anchor_distance(list(network.parameters()), self.source)
        if self.teacher is not None:
            with torch.no_grad():
                said = self.teacher.class_logits(images).softmax(dim=1)
                classes = said.argmax(dim=1)
                classes = classes if blank is None else classes.masked_fill(blank, IGNORED)
                mixed = mix_classes(images, classes, sure_share(said, SURE, blank), generator)
            found["classmix"] = self.settings.classmix * weighted_cross_entropy(network.class_logits(mixed.images), mixed)
        return found

    @torch.no_grad()
    def follow(self, network: SeamlessNetwork | SemanticNetwork) -> None:
        """Move the teacher a little towards the network, its running statistics too; after each step."""
        if self.teacher is not None:
            new = network.state_dict()
            for name, value in self.teacher.state_dict().items():
                if value.is_floating_point():
                    value.lerp_(new[name].to(value.dtype), 1 - INERTIA)

    def state(self) -> dict[str, torch.Tensor]:
        """The teacher's weights, for checkpoints; the anchor is the source model, which is read anew."""
        return {} if self.teacher is None else self.teacher.state_dict()

    def load(self, state: dict[str, torch.Tensor]) -> None:
        """Go on from what :meth:`state` gave."""
        if self.teacher is not None:
            self.teacher.load_state_dict(state)
