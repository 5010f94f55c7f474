"""Losses of the seamless network."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch.nn.functional import binary_cross_entropy_with_logits


def uncertainty_guided_bce(logits: torch.Tensor, certain: torch.Tensor, uncertain: torch.Tensor) -> torch.Tensor:
    """Mask loss of omni pseudo-labels: mean of (1 - uncertain) * BCE(sigmoid(logits), certain) (UNLOCK eq. 7).

    Parameters
    ----------
    logits : (N, h, w) float
    certain : (N, h, w), the pseudo-label, from 0 to 1
    uncertain : (N, h, w) or broadcastable, from 0 to 1; in between where a region was resampled

    Returns
    -------
    Scalar; 0, with a gradient of 0, if there is no mask. Uncertain pixels take part in the mean's denominator, so that a mask
    with much uncertainty weighs less.
    """
    each = binary_cross_entropy_with_logits(logits, certain.to(logits.dtype), reduction="none")
    weighted = (1 - uncertain.to(logits.dtype)) * each
    return weighted.mean() if weighted.numel() else weighted.sum()


def anchor_distance(parameters: Sequence[torch.Tensor], anchors: Sequence[torch.Tensor]) -> torch.Tensor:
    """How far weights have moved: the mean squared difference of each tensor from its anchor of the same shape, added up."""
    return torch.stack([(one - anchor).square().mean() for one, anchor in zip(parameters, anchors, strict=True)]).sum()
