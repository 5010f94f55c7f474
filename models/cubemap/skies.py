"""The sky of a panorama's views: specks taken out, edges softened."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import max_pool2d


@dataclass(frozen=True)
class SkySettings:
    """How probabilities become sky; the defaults are those of PaGeR's commands, whose demo opens nothing.

    Parameters
    ----------
    threshold, softness : float
        A probability of ``threshold`` is half sky; ``softness`` below it is none, as much above it all.
    opening : odd int
        Sky is opened by a square of so many pixels a side; 1 for none.
    least_share : float
        A panorama in which no more of the pixels lie above the threshold has no sky.
    """

    threshold: float = 0.3
    softness: float = 0.15
    opening: int = 5
    least_share: float = 0.01

    def __post_init__(self) -> None:
        if self.opening < 1 or self.opening % 2 == 0:
            raise ValueError(f"sky.opening: must be an odd number of pixels, 1 for none, got {self.opening}")
        if not 0 < self.softness <= self.threshold <= 1 - self.softness:
            raise ValueError(
                f"sky: threshold {self.threshold} and softness {self.softness} reach beyond 0 to 1; take less softness"
            )


def blended_sky(probability: Tensor, settings: SkySettings) -> Tensor:
    """How much of each pixel is sky, after PaGeR (arXiv 2605.26368).

    Parameters
    ----------
    probability : (S, h, w) float
        Of one panorama's views.
    settings : SkySettings

    Returns
    -------
    (S, h, w) float from 0 to 1
        smoothstep((p - (threshold - softness)) / (2 softness)) outside of :func:`specks`; 0 everywhere in a panorama without sky.
    """
    if float((probability > settings.threshold).float().mean()) <= settings.least_share:
        return torch.zeros_like(probability)
    kept = probability.masked_fill(specks(probability, settings), 0)
    part = ((kept - settings.threshold + settings.softness) / (2 * settings.softness)).clamp(0, 1)
    return part.square() * (3 - 2 * part)


def specks(probability: Tensor, settings: SkySettings) -> Tensor:
    """(S, h, w) bool: where there is some sky that the opening takes out. Beyond a view's border there is nothing to take it."""
    some = (probability > settings.threshold - settings.softness).float()[:, None]
    shrunk = -pooled(-some, settings.opening)
    return (some > pooled(shrunk, settings.opening))[:, 0]


def pooled(maps: Tensor, side: int) -> Tensor:
    """The largest value in a square of ``side`` pixels around each of (N, C, h, w), within the map."""
    return max_pool2d(maps, side, stride=1, padding=side // 2)
