"""A DPT decoder for one task: tokens -> pixels."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from models.student.configuration import StudentConfig
from models.student.layers import ResidualUnit, ZeroConv2d
from models.student.sphere import SphereConv2d, resize_sphere


class TaskFeature(nn.Module):
    """O = S + Zero1x1(B) + Zero1x1(T) + A(S), A being an adapter Conv1x1 . GELU . Conv1x1: what the decoder of a task sees."""

    def __init__(self, config: StudentConfig) -> None:
        super().__init__()
        width, inner = config.width, max(config.width // config.bottleneck_ratio, 4)
        self.bridge = ZeroConv2d(width, width) if config.bridges else None
        self.task = ZeroConv2d(width, width)
        self.adapter = nn.Sequential(nn.Conv2d(width, inner, 1), nn.GELU(), nn.Conv2d(inner, width, 1))

    def forward(self, stream: Tensor, bridge: Tensor | None, feature: Tensor) -> Tensor:
        joined = stream + self.task(feature) + self.adapter(stream)
        return joined if self.bridge is None or bridge is None else joined + self.bridge(bridge)


class Neck(nn.Module):
    """Four scales (4, 2, 1 and 1/2 of the token grid) made from one map, then fused from the coarsest to the finest.

    f_4 = up(R'(c_4)), f_k = up(R'(f_(k+1) + R(c_k))), R and R' being residual units and up a bilinear doubling with Conv1x1.
    """

    def __init__(self, width: int, sizes: Sequence[int], fusion: int) -> None:
        super().__init__()
        self.scales = nn.ModuleList(
            [
                nn.Sequential(nn.Conv2d(width, sizes[0], 1), nn.ConvTranspose2d(sizes[0], sizes[0], 4, stride=4)),
                nn.Sequential(nn.Conv2d(width, sizes[1], 1), nn.ConvTranspose2d(sizes[1], sizes[1], 2, stride=2)),
                nn.Conv2d(width, sizes[2], 1),
                nn.Sequential(nn.Conv2d(width, sizes[3], 1), SphereConv2d(sizes[3], sizes[3], 3, stride=2)),
            ]
        )
        self.enter = nn.ModuleList(SphereConv2d(size, fusion, 3) for size in sizes)
        self.inner = nn.ModuleList(ResidualUnit(fusion) for _ in sizes[:-1])
        self.outer = nn.ModuleList(ResidualUnit(fusion) for _ in sizes)
        self.project = nn.ModuleList(nn.Conv2d(fusion, fusion, 1) for _ in sizes)

    def forward(self, maps: Tensor) -> Tensor:
        """(B, fusion, 8 h, 8 w) of maps (B, width, h, w)."""
        scales = [enter(scale(maps)) for scale, enter in zip(self.scales, self.enter)]
        fused = scales.pop()
        for step in reversed(range(len(self.outer))):
            if step < len(self.inner):
                fused = fused + self.inner[step](scales[step])
            fused = self.outer[step](fused)
            fused = self.project[step](resize_sphere(fused, 2 * fused.shape[-2]))
        return fused


class Decoder(nn.Module):
    """Neck, Conv3x3, bilinear to the image's size, Conv3x3, GELU, Conv1x1: what to add to the task's preliminary answer.

    It starts at zero. A DPT decoder that answers alone must first find the mean answer, and so many layers find it by one large
    constant, beside which all that differs from pixel to pixel fades: short trainings at high rates often ended there, with one
    answer everywhere.
    """

    def __init__(self, channels: int, config: StudentConfig) -> None:
        super().__init__()
        fusion, last = config.fusion_width, max(config.fusion_width // 4, 8)
        middle = max(fusion // 2, 16)  # with 8 channels, a CPU's convolutions take eight times as long
        self.neck = Neck(config.width, config.neck_sizes, fusion)
        self.reduce = SphereConv2d(fusion, middle, 3)
        self.refine = nn.Sequential(SphereConv2d(middle, last, 3), nn.GELU())
        self.answer = ZeroConv2d(last, channels)

    def forward(self, maps: Tensor, height: int) -> Tensor:
        """(B, channels, height, width) of token maps (B, width, h, w)."""
        return self.answer(self.refine(resize_sphere(self.reduce(self.neck(maps)), height)))
