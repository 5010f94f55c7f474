"""Geometry-aware modulation: tells the features where on the sphere, in the world frame, they look."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from models.student.layers import ZeroConv2d


def position_code(rays: Tensor) -> Tensor:
    """Ray and absolute position (B, 6, H, W) of world directions (B, 3, H, W).

    They are x, y, z, sine and cosine of the longitude, and latitude over a quarter turn.

    The longitude enters by its sine and cosine, because the angle itself jumps by a whole turn at the seam.
    """
    x, y, z = rays.unbind(1)
    level = torch.hypot(x, z)
    latitude = torch.atan2(-y, level) * (2 / torch.pi)
    level = level.clamp_min(1e-6)
    return torch.stack([x, y, z, x / level, z / level, latitude], dim=1)


class Modulation(nn.Module):
    """F (1 + gamma) + beta, with (gamma, beta) = MLP(position code of the ray), a 1x1 network whose last layer starts at zero.

    Parameters
    ----------
    width : int
    hidden : int
    kind : str
        ``rays``; ``constant`` sees the same forward ray everywhere (the same parameters, blind to direction).
    """

    def __init__(self, width: int, hidden: int, kind: str) -> None:
        super().__init__()
        self.kind = kind
        self.network = nn.Sequential(nn.Conv2d(6, hidden, 1), nn.GELU(), ZeroConv2d(hidden, 2 * width))

    def forward(self, maps: Tensor, rays: Tensor) -> Tensor:
        if self.kind == "constant":
            rays = rays.new_tensor([0.0, 0.0, 1.0]).view(1, 3, 1, 1).expand_as(rays)
        scale, shift = self.network(position_code(rays).to(maps.dtype)).chunk(2, dim=1)
        return maps * (1 + scale) + shift
