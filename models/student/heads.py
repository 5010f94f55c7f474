"""Task heads: a feature for every task at the tokens, and a first, coarse answer from it."""

from __future__ import annotations

from torch import Tensor, nn

from models.student.layers import ChannelLayerNorm
from models.student.sphere import SphereConv2d


class TaskHead(nn.Module):
    """T = GELU(LN(Conv1x1(GELU(LN(Conv3x3(S)))))), preliminary answer P = Conv1x1(T)."""

    def __init__(self, width: int, channels: int) -> None:
        super().__init__()
        self.feature = nn.Sequential(
            SphereConv2d(width, width, 3), ChannelLayerNorm(width), nn.GELU(),
            nn.Conv2d(width, width, 1), ChannelLayerNorm(width), nn.GELU(),
        )  # fmt: skip
        self.answer = nn.Conv2d(width, channels, 1)

    def forward(self, stream: Tensor) -> tuple[Tensor, Tensor]:
        """Feature (B, width, h, w) and preliminary answer (B, channels, h, w)."""
        feature = self.feature(stream)
        return feature, self.answer(feature)
