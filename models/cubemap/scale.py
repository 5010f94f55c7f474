"""The factor from scale-invariant depth to metres."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d

from models.cubemap.dpt import Dense, Refinement, Size, Tokens, reassembled, reassembly_layers
from models.cubemap.padding import Borders, plain_resize

QUARTILES_OF_NORMAL = 1.349
"""Distance between the quartiles of a normal distribution, in standard deviations."""


class ScaleHead(Refinement):
    """Log metric depth, coarser than the face: a second dense head on the same tokens, helped by depth's refined maps.

    Unlike in depth's own head, maps carry no sinusoids, and are enlarged without a look at the neighbouring
    views. What it reads is detached: metres do not disturb what shape was learned.
    """

    def __init__(self, inputs: int, channels: Sequence[int], features: int) -> None:
        super().__init__(channels, features, outputs=2)
        self.norm, self.projects, self.resize_layers = reassembly_layers(inputs, channels)
        self.si_pyramid_proj = nn.ModuleList(nn.Conv2d(features, features, 1) for _ in range(3))

    def forward(self, tokens: Tokens, depth: Dense, size: Size, borders: Borders) -> Tensor:
        """(N, 2, *size): log z in metres, and the raw confidence."""
        borders = replace(borders, resize=plain_resize)
        tokens = replace(tokens, features=[one.detach() for one in tokens.features], aspect=None)
        adapted = [adapter(one.detach()) for adapter, one in zip(self.si_pyramid_proj, depth.pyramid)]
        maps = reassembled(self.norm, self.projects, self.resize_layers, tokens, borders)
        return self.answer(self.neck(self.pyramid(maps, borders, adapted)[-1], borders), size, borders, tokens.aspect)


def log_scale(log_metric: Tensor, log_depth: Tensor) -> tuple[Tensor, Tensor]:
    """The factor from depth to metres, and how far cells disagree on it.

    Parameters
    ----------
    log_metric : (B, S, h / k, w / k), log z in metres
    log_depth : (B, S, h, w), log z up to a factor, not clamped

    Returns
    -------
    log_s : (B,)
        The lower median over all cells of log_metric - mean of log_depth in the cell.
    spread : (B,)
        Distance between the quartiles of the same differences / 1.349, a robust standard deviation. A large one tells of a
        panorama that the head knows nothing like.
    """
    ratio = log_depth.shape[-1] // log_metric.shape[-1]
    differences = (log_metric.float() - avg_pool2d(log_depth.float(), ratio)).flatten(1)
    quartiles = torch.quantile(differences, torch.tensor([0.25, 0.75], device=differences.device), dim=1)
    return differences.median(dim=1).values, (quartiles[1] - quartiles[0]) / QUARTILES_OF_NORMAL
