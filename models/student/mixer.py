"""ERP token mixers: neighbourhoods that widen towards the poles, as the sphere's do on an ERP grid."""

from __future__ import annotations

from torch import Tensor, nn

from models.student.sphere import SphereConv2d, erp_rays


class Mixer(nn.Module):
    """y = (1 - w) Conv3x3(x) + w DWConv3x9(x).

    w = abs(sin latitude): near a pole a parallel is short, so that tokens far apart on the grid are neighbours on the sphere, and
    the wide kernel reaches them. It wraps round the seam and continues over the poles.

    Parameters
    ----------
    width : int
    kind : str
        ``erp``; ``plain`` sets w = 1/2 everywhere (the same parameters, blind to latitude); ``none`` is the identity.
    """

    def __init__(self, width: int, kind: str) -> None:
        super().__init__()
        self.kind = kind
        if kind != "none":
            self.near = SphereConv2d(width, width, 3)
            self.wide = SphereConv2d(width, width, (3, 9), groups=width)

    def forward(self, maps: Tensor) -> Tensor:
        if self.kind == "none":
            return maps
        if self.kind == "plain":
            return (self.near(maps) + self.wide(maps)) / 2
        polar = erp_rays(*maps.shape[-2:], maps.device, maps.dtype)[:, 1:2].abs()
        return (1 - polar) * self.near(maps) + polar * self.wide(maps)
