"""Feature maps of an ERP image as torch sees them: continued beyond their borders, convolved, resized, and with their rays.

All of it commutes with a roll of the columns, which is a turn about the vertical axis: exactly, where nothing is strided, and
otherwise for rolls by whole strides.
"""

from __future__ import annotations

from functools import lru_cache, partial
from math import gcd

import torch
from torch import Tensor, nn
from torch.nn import functional

from geometry.directions import erp_directions
from geometry.resampling.padding import rows_round_the_poles

SHORTEST = 0.1
"""Length below which a vector's direction is taken to be open."""


def pad_sphere(maps: Tensor, rows: int, columns: int) -> Tensor:
    """Continue maps (B, C, H, W) by ``rows`` over each pole, half a turn away and mirrored, and by ``columns`` round the seam.

    Returns
    -------
    (B, C, H + 2 rows, W + 2 columns)

    Raises
    ------
    ValueError
        The width is odd, so that no column lies half a turn away.
    """
    height, width = maps.shape[-2:]
    if rows and width % 2:
        raise ValueError(f"maps of {height}x{width} cannot be continued over the poles: the width must be even")
    if rows > height or columns > width:  # of a small map: more than once round
        return _round(maps, rows, columns)
    if rows:
        above, below = maps[..., :rows, :].flip(-2), maps[..., height - rows :, :].flip(-2)
        maps = torch.cat([above.roll(width // 2, -1), maps, below.roll(width // 2, -1)], dim=-2)
    if columns:
        maps = torch.cat([maps[..., width - columns :], maps, maps[..., :columns]], dim=-1)
    return maps


def _round(maps: Tensor, rows: int, columns: int) -> Tensor:
    """As :func:`pad_sphere`, however often that goes round."""
    height, width = maps.shape[-2:]
    row, beyond = (torch.from_numpy(one).to(maps.device) for one in rows_round_the_poles(-rows, height + rows, height))
    column = torch.arange(-columns, width + columns, device=maps.device)
    return maps[..., row[:, None], (column + beyond[:, None] * (width // 2)) % width]


class SphereConv2d(nn.Conv2d):
    """A convolution that sees the sphere go on where the map ends; an odd kernel keeps the size, up to the stride."""

    def __init__(self, inner: int, outer: int, kernel: int | tuple[int, int], stride: int = 1, groups: int = 1) -> None:
        super().__init__(inner, outer, kernel, stride, groups=groups)

    def forward(self, maps: Tensor) -> Tensor:
        rows, columns = (size // 2 for size in self.kernel_size)
        return self._conv_forward(pad_sphere(maps, rows, columns), self.weight, self.bias)


def _pad_input(_conv: nn.Module, inputs: tuple[Tensor], rows: int, columns: int) -> tuple[Tensor]:
    return (pad_sphere(inputs[0], rows, columns),)


def pad_convolutions(network: nn.Module) -> None:
    """Let all zero-padded convolutions of a finished network see the sphere instead. Its weights and their names stay."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d) and not isinstance(module.padding, str) and any(module.padding):
            rows, columns = module.padding
            module.padding = (0, 0)
            module.register_forward_pre_hook(partial(_pad_input, rows=rows, columns=columns))


def resize_sphere(maps: Tensor, height: int) -> Tensor:
    """Resize maps (B, C, H, W) to ``height`` rows and the columns in proportion: bilinearly up, by area means down.

    The scale is H' / H = a / b in lowest terms. Padding by b pixels makes the border of the result a whole number, a, of
    pixels, which are cut off again.
    """
    rows = maps.shape[-2]
    if height == rows:
        return maps
    divisor = gcd(height, rows)
    scaled, margin = height // divisor, rows // divisor
    if scaled == 1:
        return functional.avg_pool2d(maps, margin)
    padded = pad_sphere(maps, margin, margin)
    size = [side * scaled // margin for side in padded.shape[-2:]]
    resized = functional.interpolate(padded, size=size, mode="bilinear", align_corners=False)
    return resized[..., scaled:-scaled, scaled:-scaled]


@lru_cache(maxsize=32)
def erp_rays(height: int, width: int, device: torch.device, dtype: torch.dtype = torch.float32) -> Tensor:
    """Unit directions (1, 3, height, width) of all pixel centres."""
    with torch.inference_mode(False):  # kept for training, even if it is first needed by a prediction
        return torch.from_numpy(erp_directions(height, width)).permute(2, 0, 1)[None].to(device, dtype)


def turn(vectors: Tensor, rotation: Tensor) -> Tensor:
    """Vectors (B, 3, H, W), turned by rotations (B, 3, 3)."""
    return torch.einsum("bij,bjhw->bihw", rotation, vectors.expand(len(rotation), -1, -1, -1))


def local_to_world(vectors: Tensor, rays: Tensor) -> Tensor:
    """Vectors (B, 3, H, W) given along (east, down, outwards) at the world directions ``rays`` (B, 3, H, W), in the world frame.

    v = v1 e + v2 d + v3 r, with e = (z, 0, -x) / hypot(x, z) for r = (x, y, z), and d = r x e.
    """
    x, y, z = rays.unbind(1)
    level = torch.hypot(x, z).clamp_min(1e-6)
    east = torch.stack([z / level, torch.zeros_like(y), -x / level], dim=1)
    down = torch.stack([-x * y / level, level, -z * y / level], dim=1)
    return vectors[:, :1] * east + vectors[:, 1:2] * down + vectors[:, 2:] * rays


def unit_vectors(vectors: Tensor) -> Tensor:
    """n = v / abs(v) of vectors (B, 3, H, W), with gradients that stay bounded where v is short.

    The derivative (I - n n^T) / abs(v) divides by at least :data:`SHORTEST` instead: a few pixels whose answer happens to be near
    zero would otherwise outweigh all others.
    """
    fixed = vectors.detach()
    unit = functional.normalize(fixed, dim=1)
    change = vectors - fixed  # zero, but for its gradient
    along = (unit * change).sum(1, keepdim=True) * unit
    return unit + (change - along) / fixed.norm(dim=1, keepdim=True).clamp_min(SHORTEST)
