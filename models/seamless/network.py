"""The seamless network: one encoder, a semantic head, and two instance branches for visible and whole objects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import nn
from torch.nn.functional import cross_entropy, interpolate
from transformers import AutoBackbone, AutoConfig

from models.seamless.branch import BranchDetections, BranchSettings, BranchTarget, InstanceBranch
from models.seamless.layers import FeaturePyramid, SemanticHead, middle_columns, wrapped_columns

IGNORED = 255


@dataclass(frozen=True)
class SeamlessSettings:
    """``encoder``: a model type of ``AutoBackbone`` whose maps have strides 4, 8, 16, 32, with its config in ``encoder_config``.

    ``things``: the Thing classes out of ``classes``. ``channels``: of the pyramid. ``seam``: columns, a multiple of 32, by which
    a panorama is continued on both sides for the encoder; 0 for images that do not close, whose columns then wrap nowhere.
    """

    classes: int
    things: range
    encoder: str = "pvt_v2"
    encoder_config: Mapping[str, Any] = field(default_factory=dict)
    channels: int = 256
    seam: int = 64
    branch: BranchSettings = field(default_factory=BranchSettings)

    def __post_init__(self) -> None:
        if self.seam < 0 or self.seam % 32:
            raise ValueError(f"seam must be a multiple of 32 columns, not {self.seam}")


SMALL: dict[str, Any] = {
    "depths": [1, 1, 1, 1],
    "hidden_sizes": [16, 32, 40, 64],
    "num_attention_heads": [1, 2, 5, 8],
    "mlp_ratios": [4, 4, 4, 4],
}
"""Encoder config for a CPU."""
LARGE: dict[str, Any] = {
    "depths": [3, 6, 40, 3],
    "hidden_sizes": [64, 128, 320, 512],
    "num_attention_heads": [1, 2, 5, 8],
    "mlp_ratios": [4, 4, 4, 4],
}
"""Encoder config of the size of MiT-B5, for a GPU."""


@dataclass(frozen=True, eq=False)
class Target:
    """What is learned of one image: ``semantics`` (H, W) int64, 255 ignored, and of either branch."""

    semantics: torch.Tensor
    instances: BranchTarget
    amodals: BranchTarget

    def to(self, device: torch.device) -> Target:
        """The same on a device."""
        return Target(self.semantics.to(device), self.instances.to(device), self.amodals.to(device))


@dataclass(frozen=True, eq=False)
class Finding:
    """Of one image: ``semantics`` (H, W) int64, ``confidence`` (H, W) float, the class's probability, and both branches' finds.

    Their classes are those of the whole vocabulary.
    """

    semantics: torch.Tensor
    confidence: torch.Tensor
    instances: BranchDetections
    amodals: BranchDetections


def blank_in(targets: Sequence[Target]) -> torch.Tensor | None:
    """(B, H, W) bool: what of a batch's images shows nothing that was photographed; None where all of it shows something."""
    found = [target.instances.blank for target in targets]
    if all(blank is None for blank in found):
        return None
    return torch.stack([torch.zeros_like(one.semantics, dtype=torch.bool) if b is None else b for one, b in zip(targets, found)])


class SeamlessNetwork(nn.Module):
    """See :class:`SeamlessSettings`. Images are (B, 3, H, W) float, H and W multiples of 32, normalised as the encoder wants."""

    def __init__(self, settings: SeamlessSettings) -> None:
        super().__init__()
        self.settings = settings
        stages = [f"stage{number}" for number in (1, 2, 3, 4)]
        config = AutoConfig.for_model(settings.encoder, out_features=stages, **settings.encoder_config)
        self.encoder = AutoBackbone.from_config(config)
        wrap, things = settings.seam > 0, len(settings.things)
        self.pyramid = FeaturePyramid(self.encoder.channels, settings.channels, wrap)
        self.semantic = SemanticHead(settings.channels, 4, settings.classes, wrap)
        self.instances, self.amodals = (
            InstanceBranch(settings.channels, (4, 8, 16, 32), things, settings.branch, wrap) for _ in range(2)
        )

    def features(self, images: torch.Tensor) -> list[torch.Tensor]:
        """The pyramid's levels at strides 4 to 64."""
        if images.shape[-2] % 32 or images.shape[-1] % 32:
            raise ValueError(f"height and width must be multiples of 32, not {tuple(images.shape[-2:])}")
        seam = self.settings.seam
        maps = self.encoder(wrapped_columns(images, seam) if seam else images).feature_maps
        return self.pyramid([middle_columns(one, seam // stride) for one, stride in zip(maps, (4, 8, 16, 32))])

    def for_crops(self, ignore_uncertain: bool = False) -> SeamlessNetwork:
        """A copy that takes images which do not close, such as training crops; ``ignore_uncertain``: see BranchSettings."""
        branch = replace(self.settings.branch, ignore_uncertain=ignore_uncertain)
        network = SeamlessNetwork(replace(self.settings, seam=0, branch=branch))
        network.load_state_dict(self.state_dict())
        return network

    def losses(self, images: torch.Tensor, targets: Sequence[Target], generator: torch.Generator) -> dict[str, torch.Tensor]:
        """Scalars by name, to be added with weights of 1: ``semantic``, and five of each branch under its name."""
        levels = self.features(images)
        logits = self._semantic_logits(levels, images)
        goal = torch.stack([target.semantics for target in targets])
        semantic = cross_entropy(logits, goal, ignore_index=IGNORED) if (goal != IGNORED).any() else logits.sum() * 0
        total = {"semantic": semantic}
        for name, branch in (("instances", self.instances), ("amodals", self.amodals)):
            own = branch.losses(levels, [getattr(target, name) for target in targets], generator)
            total |= {f"{name}.{part}": value for part, value in own.items()}
        return total

    def class_logits(self, images: torch.Tensor) -> torch.Tensor:
        """What the semantic head alone says, (B, classes, H, W)."""
        return self._semantic_logits(self.features(images), images)

    @torch.no_grad()
    def find(self, images: torch.Tensor) -> list[Finding]:
        """What the three heads say of each image of a batch."""
        levels = self.features(images)
        confidence, semantics = self._semantic_logits(levels, images).softmax(dim=1).max(dim=1)
        size = (images.shape[-2], images.shape[-1])
        branches = [self._named(branch.detect(levels, size)) for branch in (self.instances, self.amodals)]
        return [Finding(*parts) for parts in zip(semantics, confidence, *branches)]

    def _named(self, found: Sequence[BranchDetections]) -> list[BranchDetections]:
        first = self.settings.things.start
        return [BranchDetections(one.masks, one.classes + first, one.scores, one.boxes) for one in found]

    def _semantic_logits(self, levels: Sequence[torch.Tensor], images: torch.Tensor) -> torch.Tensor:
        return interpolate(self.semantic(levels[:4]), size=images.shape[-2:], mode="bilinear", align_corners=False)
