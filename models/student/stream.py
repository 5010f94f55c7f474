"""A stream: the four levels of the backbone, adapted to one kind of task and brought together."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from models.student.configuration import StudentConfig
from models.student.layers import ZeroConv2d
from models.student.mixer import Mixer
from models.student.modulation import Modulation


class Bottleneck(nn.Module):
    """Invariant stream: x + F(x). Variant stream: x + F(x) (1 + gamma) + beta; see :mod:`models.student.modulation`.

    F = Zero1x1 . GELU . Mixer . GELU . Conv1x1, narrower inside. So both start as the identity.
    """

    def __init__(self, channels: int, config: StudentConfig, modulated: bool) -> None:
        super().__init__()
        inner = max(channels // config.bottleneck_ratio, 4)
        self.body = nn.Sequential(
            nn.Conv2d(channels, inner, 1), nn.GELU(), Mixer(inner, config.mixer), nn.GELU(), ZeroConv2d(inner, channels)
        )
        self.modulation = Modulation(channels, inner, config.modulation) if modulated else None

    def forward(self, maps: Tensor, rays: Tensor) -> Tensor:
        change = self.body(maps)
        return maps + (change if self.modulation is None else self.modulation(change, rays))


class Stream(nn.Module):
    """S = Conv1x1([B_1(x_1), .., B_4(x_4)]), B_l being the bottlenecks of level l."""

    def __init__(self, channels: Sequence[int], config: StudentConfig, modulated: bool) -> None:
        super().__init__()
        self.levels = nn.ModuleList(
            nn.ModuleList(Bottleneck(size, config, modulated) for _ in range(config.bottlenecks)) for size in channels
        )
        self.join = nn.Conv2d(sum(channels), config.width, 1)

    def forward(self, levels: Sequence[Tensor], rays: Tensor) -> Tensor:
        """Maps (B, width, h, w) of the four levels and the world directions (B, 3, h, w) of their tokens."""
        adapted = []
        for maps, bottlenecks in zip(levels, self.levels, strict=True):
            for bottleneck in bottlenecks:  # type: ignore[attr-defined]
                maps = bottleneck(maps, rays)
            adapted.append(maps)
        return self.join(torch.cat(adapted, dim=1))
