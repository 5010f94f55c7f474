"""What a cubemap network is trained by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, binary_cross_entropy_with_logits

from models.cubemap.configuration import Scene
from models.cubemap.network import Said

CONFIDENCE_REWARD = 0.2
TINY = 1e-6


@dataclass(frozen=True, eq=False)
class Truth:
    """What is true of B panoramas of S views of h x w pixels.

    log_depth : (B, S, h, w) float, log of z in metres along each view's axis; anything where it does not count
    weight : (B, S, h, w) bool or float, how much a pixel counts: 0 where depth is not known; only ratios matter
    outdoor : (B,) bool, which scale head learns
    normals : (B, S, 3, h, w) float, unit, world frame, or None
    sky : (B, S, h, w) float from 0 to 1, or None
    normals_weight : (B, S, h, w), the same for normals; those of depth by default
    sky_weight : (B, S, h, w), the same for sky; 1 everywhere by default
    """

    log_depth: Tensor
    weight: Tensor
    outdoor: Tensor
    normals: Tensor | None = None
    sky: Tensor | None = None
    normals_weight: Tensor | None = None
    sky_weight: Tensor | None = None

    def to(self, device: torch.device) -> Truth:
        """The same on a device."""
        moved: dict[str, Any] = {name: None if one is None else one.to(device) for name, one in vars(self).items()}
        return Truth(**moved)


@dataclass(frozen=True)
class TermWeights:
    """By how much each term of :func:`cubemap_losses`, and :func:`anchor_loss`, counts."""

    depth: float = 1.0
    scale: float = 1.0
    normals: float = 1.0
    sky: float = 1.0
    anchor: float = 1.0

    def __post_init__(self) -> None:
        if negative := [name for name, value in vars(self).items() if value < 0]:
            raise ValueError(f"losses: {', '.join(negative)} must not be negative")


def cubemap_losses(said: Said, normals: Tensor | None, truth: Truth) -> dict[str, Tensor]:
    """Scalars by name, to be added up.

    ``depth``: mean of c |d - med d| - 0.2 log c, d = log z - log z*, c the confidence, the median over each panorama: no factor
    of a whole panorama matters. ``scale``: mean of |log m - log z*|, of the head that the scene belongs to. ``normals``: mean of
    1 - n . n*. ``sky``: binary cross-entropy.

    Parameters
    ----------
    said : Said
        Of the batch, with all scale heads asked.
    normals : (B, S, 3, h, w), unit, world frame, or None
        ``said.normals`` by :func:`models.cubemap.outputs.world_normals`.
    truth : Truth
    """
    terms: dict[str, Tensor] = {}
    if said.log_depth is not None and said.confidence is not None:
        terms["depth"] = depth_loss(said.log_depth, said.confidence, truth)
    if said.log_metric:
        terms["scale"] = sum(
            (_scale_loss(maps, truth, scene) for scene, maps in said.log_metric.items()), truth.log_depth.new_zeros(())
        )
    if normals is not None and truth.normals is not None:
        counts = truth.weight if truth.normals_weight is None else truth.normals_weight
        terms["normals"] = _mean(1 - (normals * truth.normals).sum(dim=2), counts)
    if said.sky is not None and truth.sky is not None:
        entropy = binary_cross_entropy_with_logits(said.sky.float(), truth.sky.float(), reduction="none")
        terms["sky"] = _mean(entropy, torch.ones_like(entropy) if truth.sky_weight is None else truth.sky_weight)
    return terms


def depth_loss(log_depth: Tensor, confidence: Tensor, truth: Truth) -> Tensor:
    """See :func:`cubemap_losses`; maps are (B, S, h, w)."""
    differences = log_depth.float() - truth.log_depth.float()
    shown = torch.where(truth.weight > 0, differences, torch.nan).flatten(1)
    middle = shown.nanmedian(dim=1).values.nan_to_num()[:, None, None, None]
    certain = confidence.float()
    return _mean(certain * (differences - middle).abs() - CONFIDENCE_REWARD * certain.log(), truth.weight)


def anchor_loss(log_depth: Tensor, weight: Tensor) -> Tensor:
    """Mean over panoramas of how far the mean of log z lies outside of -1 to 1.

    The loss of depth leaves the factor of a panorama open, so it could wander off to where prediction clamps z.
    """
    counted = torch.where(weight > 0, log_depth.float() * weight, 0).flatten(1).sum(1)
    middle = counted / weight.float().flatten(1).sum(1).clamp_min(TINY)
    return (middle.abs() - 1).clamp_min(0).mean()


def _scale_loss(log_metric: Tensor, truth: Truth, scene: Scene) -> Tensor:
    """Over cells in which depth is known of at least half the pixels, in the panoramas of this scene."""
    cell, known = truth.log_depth.shape[-1] // log_metric.shape[-1], truth.weight > 0
    share = avg_pool2d(known.float(), cell)
    mean = avg_pool2d(torch.where(known, truth.log_depth, 0).float(), cell) / share.clamp_min(1e-6)
    own = (truth.outdoor == (scene == "outdoor"))[:, None, None, None]
    return _mean((log_metric.float() - mean).abs(), (share >= 0.5) & own)


def _mean(values: Tensor, weight: Tensor) -> Tensor:
    """By weight, over what counts; zero, with zero gradient, where nothing does."""
    return torch.where(weight > 0, values * weight, 0).sum() / weight.sum().clamp_min(TINY)
