"""Small layers that several ideas share."""

from __future__ import annotations

from torch import Tensor, nn

from models.student.sphere import SphereConv2d


class ChannelLayerNorm(nn.LayerNorm):
    """LayerNorm over the channels of maps (B, C, H, W)."""

    def forward(self, maps: Tensor) -> Tensor:
        return super().forward(maps.movedim(1, -1)).movedim(-1, 1)


class ZeroConv2d(nn.Conv2d):
    """A 1x1 convolution that starts at zero, so that what it carries enters a trained network gently."""

    def __init__(self, inner: int, outer: int) -> None:
        super().__init__(inner, outer, 1)


class ResidualUnit(nn.Module):
    """x + Conv3x3(relu(Conv3x3(relu(x)))): the unit of DPT's fusion."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.ReLU(), SphereConv2d(width, width, 3), nn.ReLU(), SphereConv2d(width, width, 3))

    def forward(self, maps: Tensor) -> Tensor:
        return maps + self.body(maps)
