"""Transformer blocks of the backbone and of the camera encoder."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, scaled_dot_product_attention, silu

ROPE_BASE = 100.0


def rotary_table(positions: Tensor, channels: int) -> Tensor:
    """Cosines and sines (2, T, channels) that turn queries and keys by where their tokens are (RoPE in two dimensions).

    The first half of a head's channels is turned by the row, the second by the column; within a half, channel i and channel
    i + channels / 4 are the two coordinates that angle ``position / 100^(4 i / channels)`` turns.

    Parameters
    ----------
    positions : (T, 2) int, row and column
    channels : int
        Of a head, a multiple of 4.
    """
    quarter = channels // 4
    rates = ROPE_BASE ** -(torch.arange(quarter, device=positions.device, dtype=torch.float32) / quarter)
    angles = positions[:, :, None].float() * rates  # (T, 2, quarter)
    angles = torch.cat([angles, angles], dim=-1).flatten(1)
    return torch.stack([angles.cos(), angles.sin()])


def turned(values: Tensor, table: Tensor) -> Tensor:
    """Queries or keys (B, heads, T, channels) turned by a :func:`rotary_table`."""
    cosines, sines = table.to(values.dtype)
    first, second, third, fourth = values.chunk(4, dim=-1)
    return values * cosines + torch.cat([-second, first, -fourth, third], dim=-1) * sines


class Attention(nn.Module):
    """Multi-head self-attention; ``normed`` queries and keys go through LayerNorm head by head."""

    def __init__(self, width: int, heads: int, normed: bool) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.q_norm = nn.LayerNorm(width // heads) if normed else nn.Identity()
        self.k_norm = nn.LayerNorm(width // heads) if normed else nn.Identity()
        self.proj = nn.Linear(width, width)

    def forward(self, tokens: Tensor, table: Tensor | None = None) -> Tensor:
        """(B, T, width) -> (B, T, width); ``table`` as :func:`rotary_table` makes it."""
        batch, count, width = tokens.shape
        queries, keys, values = self.qkv(tokens).view(batch, count, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        queries, keys = self.q_norm(queries), self.k_norm(keys)
        if table is not None:
            queries, keys = turned(queries, table), turned(keys, table)
        seen = scaled_dot_product_attention(queries, keys, values)
        return self.proj(seen.transpose(1, 2).reshape(batch, count, width))


class LayerScale(nn.Module):
    """A factor a channel, 1 at first."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(width))

    def forward(self, tokens: Tensor) -> Tensor:
        return tokens * self.gamma


class GeluFFN(nn.Module):
    """fc2(gelu(fc1 x))."""

    def __init__(self, width: int, hidden: int, outputs: int | None = None) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, hidden)
        self.fc2 = nn.Linear(hidden, outputs or width)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.fc2(gelu(self.fc1(tokens)))


class SwiGluFFN(nn.Module):
    """w3(silu(a) b) with [a b] = w12 x."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.w12 = nn.Linear(width, 2 * hidden)
        self.w3 = nn.Linear(hidden, width)

    def forward(self, tokens: Tensor) -> Tensor:
        gate, values = self.w12(tokens).chunk(2, dim=-1)
        return self.w3(silu(gate) * values)


class Block(nn.Module):
    """x + g1 attention(LN x), then x + g2 ffn(LN x)."""

    def __init__(self, width: int, heads: int, ffn: nn.Module, normed: bool, eps: float) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps)
        self.attn = Attention(width, heads, normed)
        self.ls1 = LayerScale(width)
        self.norm2 = nn.LayerNorm(width, eps)
        self.mlp = ffn
        self.ls2 = LayerScale(width)

    def forward(self, tokens: Tensor, table: Tensor | None = None) -> Tensor:
        """(B, T, width) -> (B, T, width)."""
        tokens = tokens + self.ls1(self.attn(self.norm1(tokens), table))
        return tokens + self.ls2(self.mlp(self.norm2(tokens)))
