"""Dense heads: tokens of four levels -> maps -> one answer a pixel (DPT, arXiv 2103.13413, as Depth Anything 3 has it)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor, nn

from models.cubemap.padding import Borders

HIDDEN = 32
"""Channels before the last layer."""
SINUSOID_SHARE, SINUSOID_OMEGA = 0.1, 100.0
Size = tuple[int, int]


@lru_cache(maxsize=32)
def sinusoid(channels: int, size: Size, aspect: float) -> Tensor:
    """(channels, *size) float32: 0.1 times sines and cosines of where a pixel is; column in the first half, row in the second.

    Pixel centres span an image of unit diagonal around (0, 0), width over height being ``aspect``. Channel i of ``n = channels /
    4`` sines, and of as many cosines after them, is of ``x / 100^(i / n)``.
    """
    quarter = channels // 4
    rates = SINUSOID_OMEGA ** -(torch.arange(quarter, dtype=torch.float64) / quarter)
    diagonal = (aspect**2 + 1) ** 0.5
    halves = []
    for axis, span in ((1, aspect / diagonal), (0, 1 / diagonal)):
        places = (2 * torch.arange(size[axis], dtype=torch.float64) + 1 - size[axis]) / size[axis] * span
        angles = rates[:, None] * places
        waves = torch.cat([angles.sin(), angles.cos()])
        halves.append((waves[:, None, :] if axis else waves[:, :, None]).expand(-1, *size))
    return (SINUSOID_SHARE * torch.cat(halves)).float()


def placed(maps: Tensor, aspect: float | None) -> Tensor:
    """Maps (N, C, h, w) with :func:`sinusoid` added; as they are for an aspect of None."""
    if aspect is None:
        return maps
    with torch.inference_mode(False):
        table = sinusoid(maps.shape[1], (maps.shape[2], maps.shape[3]), aspect)
    return maps + table.to(maps)


def reassembly_layers(inputs: int, channels: Sequence[int]) -> tuple[nn.LayerNorm, nn.ModuleList, nn.ModuleList]:
    """What :func:`reassembled` needs of a head: ``norm``, ``projects``, ``resize_layers``."""
    projects = nn.ModuleList(nn.Conv2d(inputs, each, 1) for each in channels)
    resize = [
        nn.ConvTranspose2d(channels[0], channels[0], 4, 4),
        nn.ConvTranspose2d(channels[1], channels[1], 2, 2),
        nn.Identity(),
        nn.Conv2d(channels[3], channels[3], 3, 2),
    ]
    return nn.LayerNorm(inputs), projects, nn.ModuleList(resize)


@dataclass(frozen=True, eq=False)
class Tokens:
    """Four levels of ``features`` (N, rows * columns, C) of N views of rows x columns patches.

    ``aspect`` is the views' width over height, or None to leave a head without knowledge of where in the view a pixel is.
    """

    features: Sequence[Tensor]
    rows: int
    columns: int
    aspect: float | None


def reassembled(
    norm: nn.LayerNorm, projects: nn.ModuleList, resize_layers: nn.ModuleList, tokens: Tokens, borders: Borders
) -> list[Tensor]:
    """Four maps (N, channels[i], h_i, w_i), of 4, 2, 1 and 1/2 pixels a patch."""
    maps = []
    for index, (features, project) in enumerate(zip(tokens.features, projects)):
        level = norm(features).transpose(1, 2).unflatten(2, (tokens.rows, tokens.columns))
        level = placed(project(level), tokens.aspect)
        maps.append(resize_layers[index](borders.pad(level, 1) if index == 3 else level))
    return maps


class ResidualUnit(nn.Module):
    """x + conv(relu(conv(relu x)))."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width, width, 3)
        self.conv2 = nn.Conv2d(width, width, 3)

    def forward(self, maps: Tensor, borders: Borders) -> Tensor:
        inner = self.conv1(borders.pad(maps.relu(), 1))
        result: Tensor = maps + self.conv2(borders.pad(inner.relu(), 1))
        return result


class Fusion(nn.Module):
    """What came from the coarser level, and this level, refined and enlarged."""

    def __init__(self, width: int, coarsest: bool) -> None:
        super().__init__()
        if not coarsest:
            self.resConfUnit1 = ResidualUnit(width)
        self.resConfUnit2 = ResidualUnit(width)
        self.out_conv = nn.Conv2d(width, width, 1)

    def forward(self, below: Tensor | None, level: Tensor, size: Size, borders: Borders) -> Tensor:
        maps = level if below is None else below + self.resConfUnit1(level, borders)
        result: Tensor = self.out_conv(borders.resize(self.resConfUnit2(maps, borders), size))
        return result


class Refinement(nn.Module):
    """Four maps -> one, coarse to fine, and the last layers."""

    def __init__(self, channels: Sequence[int], features: int, outputs: int) -> None:
        super().__init__()
        for number, each in enumerate(channels, start=1):
            self.add_module(f"layer{number}_rn", nn.Conv2d(each, features, 3, bias=False))
            self.add_module(f"refinenet{number}", Fusion(features, coarsest=number == 4))
        self.output_conv1 = nn.Conv2d(features, features // 2, 3)
        self.output_conv2 = nn.Sequential(nn.Conv2d(features // 2, HIDDEN, 3), nn.ReLU(), nn.Conv2d(HIDDEN, outputs, 1))

    def pyramid(self, maps: Sequence[Tensor], borders: Borders, more: Sequence[Tensor] = ()) -> list[Tensor]:
        """Refined maps, coarse to fine, of 1, 2, 4 and 8 pixels a patch; ``more`` is added to the first of them."""
        levels = [self.get_submodule(f"layer{number}_rn")(borders.pad(one, 1)) for number, one in enumerate(maps, start=1)]
        refined: list[Tensor] = []
        for number in (4, 3, 2, 1):
            level = levels[number - 1]
            rows, columns = levels[number - 2].shape[-2:] if number > 1 else (2 * level.shape[-2], 2 * level.shape[-1])
            below = refined[-1] if refined else None
            each = self.get_submodule(f"refinenet{number}")(below, level, (rows, columns), borders)
            refined.append(each + more[len(refined)] if len(refined) < len(more) else each)
        return refined

    def neck(self, finest: Tensor, borders: Borders) -> Tensor:
        """(N, features / 2, h, w) of the finest of the :meth:`pyramid`."""
        maps: Tensor = self.output_conv1(borders.pad(finest, 1))
        return maps

    def answer(self, neck: Tensor, size: Size, borders: Borders, aspect: float | None) -> Tensor:
        """(N, outputs, *size); ``aspect`` as that of :class:`Tokens`."""
        maps = placed(borders.resize(neck, size), aspect)
        answer: Tensor = self.output_conv2(borders.pad(maps, 1))
        return answer


@dataclass(frozen=True, eq=False)
class Dense:
    """Of a dense head: ``answer`` (N, outputs, h, w), refined ``pyramid``, coarse to fine, and the ``neck`` before enlarging."""

    answer: Tensor
    pyramid: Sequence[Tensor]
    neck: Tensor


class DenseHead(nn.Module):
    """Depth or normals: see :class:`Refinement`, which the released weights keep under ``head_modules`` and the head's name."""

    def __init__(self, name: str, inputs: int, channels: Sequence[int], features: int, outputs: int) -> None:
        super().__init__()
        self.norm, self.projects, self.resize_layers = reassembly_layers(inputs, channels)
        self.name = name
        self.head_modules = nn.ModuleDict({name: Refinement(channels, features, outputs)})

    def forward(self, tokens: Tokens, size: Size, borders: Borders) -> Dense:
        """Tokens of N views -> maps of ``size``."""
        refinement = self.head_modules[self.name]
        assert isinstance(refinement, Refinement)
        maps = reassembled(self.norm, self.projects, self.resize_layers, tokens, borders)
        pyramid = refinement.pyramid(maps, borders)
        neck = refinement.neck(pyramid[-1], borders)
        return Dense(refinement.answer(neck, size, borders, tokens.aspect), pyramid, neck)
