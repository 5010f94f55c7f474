"""The sky head: a small branch on depth's neck and the last two levels of tokens."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from models.cubemap.dpt import Size, Tokens
from models.cubemap.padding import Borders, plain_resize

LEVELS = 2
WIDE, NARROW = 256, 32
"""Channels of the tokens on their way to the map."""


class SkyHead(nn.Module):
    """Logits of sky."""

    def __init__(self, inputs: int, neck: int) -> None:
        super().__init__()
        self.vit_norms = nn.ModuleList(nn.LayerNorm(inputs) for _ in range(LEVELS))
        self.vit_proj = nn.Sequential(nn.Linear(LEVELS * inputs, WIDE), nn.GELU(), nn.Linear(WIDE, NARROW))
        self.fuse = nn.Sequential(nn.Conv2d(neck + NARROW, NARROW, 3), nn.ReLU(), nn.Conv2d(NARROW, 1, 1))

    def forward(self, tokens: Tokens, neck: Tensor, size: Size, borders: Borders) -> Tensor:
        """Tokens of N views and depth's neck (N, C, h, w) -> logits (N, 1, *size)."""
        normed = [norm(one) for norm, one in zip(self.vit_norms, tokens.features[-LEVELS:])]
        seen = self.vit_proj(torch.cat(normed, dim=-1)).transpose(1, 2).unflatten(2, (tokens.rows, tokens.columns))
        seen = plain_resize(seen, (neck.shape[-2], neck.shape[-1]))
        logits = self.fuse(borders.pad(torch.cat([neck, seen], dim=1), 1))
        return plain_resize(logits, size)
