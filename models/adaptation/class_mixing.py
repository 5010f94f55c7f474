"""ClassMix: half of the classes of one crop pasted over another, labels alike, as the release of UNLOCK adds to its training."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.nn.functional import cross_entropy

IGNORED = 255


@dataclass(frozen=True, eq=False)
class MixedCrops:
    """``images`` (B, 3, H, W), ``labels`` (B, H, W) int64, and ``weights`` (B, H, W) of what each pixel teaches."""

    images: torch.Tensor
    labels: torch.Tensor
    weights: torch.Tensor


def mix_classes(
    images: torch.Tensor, labels: torch.Tensor, weights: torch.Tensor, generator: torch.Generator | None = None
) -> MixedCrops:
    """Every crop pastes half of its classes, rounded up and drawn at random, over the next one; the last over the first.

    Parameters
    ----------
    images, labels : (B, 3, H, W) float, (B, H, W) int64; ``IGNORED`` is no class and is never pasted
    weights : (B,) float of each crop; its pixels take it along
    generator : on any device; by default the CPU's own
    """
    pasted = torch.stack([torch.isin(own, _half(own, generator)) for own in labels])
    each = weights[:, None, None].expand(labels.shape)
    return MixedCrops(
        torch.where(pasted[:, None], images, images.roll(-1, 0)),
        torch.where(pasted, labels, labels.roll(-1, 0)),
        torch.where(pasted, each, each.roll(-1, 0)),
    )


def _half(labels: torch.Tensor, generator: torch.Generator | None) -> torch.Tensor:
    there = labels.unique()
    there = there[there != IGNORED]
    device = "cpu" if generator is None else generator.device  # a generator draws on its own device alone
    order = torch.randperm(len(there), generator=generator, device=device).to(there.device)
    return there[order[: (len(there) + 1) // 2]]


def sure_share(probabilities: torch.Tensor, least: float, blank: torch.Tensor | None = None) -> torch.Tensor:
    """Share (B,) of pixels whose class has at least that probability; ``probabilities`` (B, C, H, W).

    Pixels that are ``blank`` (B, H, W) are not among them; a crop that is all blank has a share of 0.
    """
    sure = (probabilities.amax(dim=1) >= least).to(probabilities.dtype)
    if blank is None:
        return sure.mean(dim=(1, 2))
    return (sure * ~blank).sum(dim=(1, 2)) / (~blank).sum(dim=(1, 2)).clamp(min=1)


def weighted_cross_entropy(logits: torch.Tensor, mixed: MixedCrops) -> torch.Tensor:
    """Mean over all pixels of weight times cross-entropy; ``logits`` (B, C, H, W). Ignored pixels count 0."""
    each = cross_entropy(logits, mixed.labels, ignore_index=IGNORED, reduction="none")
    return (mixed.weights * each).mean()
