"""Convolution, feature pyramid and semantic head whose columns go on across the seam."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn.functional import interpolate, pad


class WrapConv(nn.Conv2d):
    """A convolution that keeps the size: columns wrap if ``wrap``, rows continue with zeros as do columns if not."""

    def __init__(self, inputs: int, outputs: int, kernel: int, wrap: bool) -> None:
        super().__init__(inputs, outputs, kernel)
        self.wrap, self.margin = wrap, kernel // 2

    def forward(self, given: torch.Tensor) -> torch.Tensor:
        """(B, inputs, H, W) -> (B, outputs, H, W)."""
        if self.margin:
            across = (self.margin, self.margin, 0, 0)
            given = pad(given, across, mode="circular") if self.wrap else pad(given, across)
            given = pad(given, (0, 0, self.margin, self.margin))
        return super().forward(given)


def wrapped_columns(given: torch.Tensor, margin: int) -> torch.Tensor:
    """(B, C, H, W) -> (B, C, H, W + 2 margin), so that any encoder sees across the seam; see :func:`middle_columns`."""
    return pad(given, (margin, margin, 0, 0), mode="circular")


def middle_columns(given: torch.Tensor, margin: int) -> torch.Tensor:
    """What :func:`wrapped_columns` added is taken away again; ``margin`` in columns of ``given``."""
    return given[..., margin : given.shape[-1] - margin] if margin else given


class FeaturePyramid(nn.Module):
    """Maps of one number of channels at the strides of an encoder's maps, fine to coarse, and one at twice the last stride."""

    def __init__(self, inputs: Sequence[int], channels: int, wrap: bool) -> None:
        super().__init__()
        self.lateral = nn.ModuleList(WrapConv(count, channels, 1, wrap) for count in inputs)
        self.smooth = nn.ModuleList(WrapConv(channels, channels, 3, wrap) for _ in inputs)

    def forward(self, maps: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """Maps (B, C_i, H_i, W_i) -> as many and one more, (B, channels, ...)."""
        levels = [lateral(given) for lateral, given in zip(self.lateral, maps)]
        for index in range(len(levels) - 2, -1, -1):
            levels[index] = levels[index] + interpolate(levels[index + 1], size=levels[index].shape[-2:], mode="nearest")
        levels = [smooth(given) for smooth, given in zip(self.smooth, levels)]
        return [*levels, levels[-1][..., ::2, ::2]]


class SemanticHead(nn.Module):
    """Class logits at the finest of the pyramid's levels, from all of them added up."""

    def __init__(self, channels: int, levels: int, classes: int, wrap: bool) -> None:
        super().__init__()
        self.each = nn.ModuleList(WrapConv(channels, channels, 3, wrap) for _ in range(levels))
        self.name = WrapConv(channels, classes, 1, wrap)

    def forward(self, levels: Sequence[torch.Tensor]) -> torch.Tensor:
        """Maps (B, C, H_i, W_i) -> (B, classes, H_0, W_0)."""
        size = levels[0].shape[-2:]
        total = torch.zeros_like(levels[0])
        for layer, level in zip(self.each, levels):
            total = total + interpolate(layer(level).relu(), size=size, mode="nearest")
        return self.name(total)
