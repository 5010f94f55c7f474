"""What a cubemap network is trained by."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, binary_cross_entropy_with_logits

from models.cubemap.configuration import Scene
from models.cubemap.network import Said

CONFIDENCE_REWARD = 0.2


@dataclass(frozen=True, eq=False)
class Truth:
    """What is true of B panoramas of S views of h x w pixels.

    log_depth : (B, S, h, w) float, log of z in metres along each view's axis; anything where not valid
    valid : (B, S, h, w) bool, where depth and normals are known
    outdoor : (B,) bool, which scale head learns
    normals : (B, S, 3, h, w) float, unit, world frame, or None
    sky : (B, S, h, w) float from 0 to 1, or None
    """

    log_depth: Tensor
    valid: Tensor
    outdoor: Tensor
    normals: Tensor | None = None
    sky: Tensor | None = None


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
        terms["normals"] = _mean(1 - (normals * truth.normals).sum(dim=2), truth.valid)
    if said.sky is not None and truth.sky is not None:
        terms["sky"] = binary_cross_entropy_with_logits(said.sky.float(), truth.sky.float())
    return terms


def depth_loss(log_depth: Tensor, confidence: Tensor, truth: Truth) -> Tensor:
    """See :func:`cubemap_losses`; maps are (B, S, h, w)."""
    differences = log_depth.float() - truth.log_depth.float()
    shown = torch.where(truth.valid, differences, torch.nan).flatten(1)
    middle = shown.nanmedian(dim=1).values.nan_to_num()[:, None, None, None]
    certain = confidence.float()
    return _mean(certain * (differences - middle).abs() - CONFIDENCE_REWARD * certain.log(), truth.valid)


def _scale_loss(log_metric: Tensor, truth: Truth, scene: Scene) -> Tensor:
    """Over cells of at least half valid pixels, in the panoramas of this scene."""
    cell = truth.log_depth.shape[-1] // log_metric.shape[-1]
    share = avg_pool2d(truth.valid.float(), cell)
    mean = avg_pool2d(torch.where(truth.valid, truth.log_depth, 0).float(), cell) / share.clamp_min(1e-6)
    own = (truth.outdoor == (scene == "outdoor"))[:, None, None, None]
    return _mean((log_metric.float() - mean).abs(), (share >= 0.5) & own)


def _mean(values: Tensor, counted: Tensor) -> Tensor:
    """Over what counts; zero, with zero gradient, where nothing does."""
    return torch.where(counted, values, 0).sum() / counted.sum().clamp_min(1)
