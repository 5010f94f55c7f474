"""The backbone: a vision transformer whose later blocks attend within a view and over all views in turn.

After Depth Anything 3 (arXiv 2511.10647) on DINOv2 (arXiv 2304.07193). Modules have the names of the released weights.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from models.cubemap.attention import Block, GeluFFN, SwiGluFFN, rotary_table
from models.cubemap.configuration import CubemapConfig

BLOCK_EPS = 1e-6
CLS_AND_CAMERA = 1
"""Tokens before the patches: one, first DINOv2's, later the camera's."""
POSITION_NUDGE = 0.1
"""DINOv2 resizes its position embeddings by (patches + 0.1) / grid, and its weights know no other."""


def positions(rows: int, columns: int, views: int) -> tuple[Tensor, Tensor]:
    """Where tokens are, for rotary positions, when a view attends to itself, and when all views attend to each other.

    Returns
    -------
    local : (1 + rows * columns, 2) int64
        (0, 0) for the camera's token, (row + 1, column + 1) for patches.
    everywhere : (views * (1 + rows * columns), 2) int64
        (0, 0) for the cameras' tokens, (1, 1) for all patches: between views only cameras tell what is where.
    """
    grid = torch.cartesian_prod(torch.arange(1, rows + 1), torch.arange(1, columns + 1))
    camera = torch.zeros(1, 2, dtype=torch.int64)
    local = torch.cat([camera, grid])
    return local, torch.cat([camera, torch.ones_like(grid)]).repeat(views, 1)


class PatchEmbedding(nn.Module):
    """One token for each patch."""

    def __init__(self, width: int, patch: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, width, patch, patch)

    def forward(self, images: Tensor) -> Tensor:
        """(N, 3, h, w) -> (N, h / patch * w / patch, width), row by row."""
        return self.proj(images).flatten(2).transpose(1, 2)


class Transformer(nn.Module):
    """What :class:`Backbone` holds under the released name ``pretrained``."""

    def __init__(self, config: CubemapConfig) -> None:
        super().__init__()
        self.config = config
        width = config.width
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        # Stands for cameras that nobody knows. Here they are always known, so it only keeps its place among the weights.
        self.camera_token = nn.Parameter(torch.zeros(1, 2, width), requires_grad=False)
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + config.position_grid**2, width))
        self.patch_embed = PatchEmbedding(width, config.patch)
        ffn = SwiGluFFN if config.ffn == "swiglu" else GeluFFN
        self.blocks = nn.ModuleList(
            Block(width, config.heads, ffn(width, config.ffn_width), index >= config.alternate_from, BLOCK_EPS)
            for index in range(config.blocks)
        )
        self.norm = nn.LayerNorm(width)

    def forward(self, images: Tensor, cameras: Tensor) -> list[Tensor]:
        """See :meth:`Backbone.forward`."""
        batch, views, _, height, width = images.shape
        grid = (height // self.config.patch, width // self.config.patch)
        tokens = self._embedded(images.flatten(0, 1), grid)
        tables = [
            rotary_table(place.to(images.device), self.config.width // self.config.heads) for place in positions(*grid, views)
        ]
        local, levels = tokens, {}
        for index, block in enumerate(self.blocks):
            later = index >= self.config.alternate_from
            if index == self.config.alternate_from:
                tokens = torch.cat([cameras.flatten(0, 1)[:, None].to(tokens), tokens[:, CLS_AND_CAMERA:]], dim=1)
            if later and index % 2 and self.config.cross_view:
                tokens = block(tokens.unflatten(0, (batch, views)).flatten(1, 2), tables[1])
                tokens = tokens.unflatten(1, (views, -1)).flatten(0, 1)
            else:
                tokens = local = block(tokens, tables[0] if later else None)
            if index in self.config.levels:
                levels[index] = torch.cat([local, self.norm(tokens)], dim=-1)[:, CLS_AND_CAMERA:].unflatten(0, (batch, views))
        return [levels[index] for index in self.config.levels]

    def _embedded(self, images: Tensor, grid: tuple[int, int]) -> Tensor:
        patches = self.patch_embed(images)
        tokens = torch.cat([self.cls_token.expand(len(patches), -1, -1), patches], dim=1)
        return tokens + self._position_embeddings(grid).to(tokens.dtype)

    def _position_embeddings(self, grid: tuple[int, int]) -> Tensor:
        """(1, 1 + rows * columns, width), resized where an image has another grid than was learned."""
        side = self.config.position_grid
        if grid == (side, side):
            return self.pos_embed
        known = self.pos_embed[:, CLS_AND_CAMERA:].float().unflatten(1, (side, side)).permute(0, 3, 1, 2)
        factors = tuple((count + POSITION_NUDGE) / side for count in grid)
        resized = interpolate(known, scale_factor=factors, mode="bicubic", align_corners=False)
        return torch.cat([self.pos_embed[:, :CLS_AND_CAMERA].float(), resized.flatten(2).transpose(1, 2)], dim=1)


class Backbone(nn.Module):
    """See :class:`Transformer`."""

    def __init__(self, config: CubemapConfig) -> None:
        super().__init__()
        self.pretrained = Transformer(config)

    def forward(self, images: Tensor, cameras: Tensor) -> list[Tensor]:
        """Features of all views.

        Parameters
        ----------
        images : (B, S, 3, h, w) float, normalised; h and w multiples of the patch
        cameras : (B, S, width) float, as :class:`models.cubemap.pose.CameraEncoder` makes them

        Returns
        -------
        list of four (B, S, h / patch * w / patch, 2 width)
            After each of the levels: the output of the last block that attended within views, and the normed output.
        """
        return self.pretrained(images, cameras)
