"""Masks inside boxes: cut from labels to learn from, and put back into the panorama, both across the seam."""

from __future__ import annotations

import torch
from torch.nn.functional import grid_sample

from models.seamless.roi_align import roi_align


def cut_masks(masks: torch.Tensor, which: torch.Tensor, boxes: torch.Tensor, size: int, wrap: bool) -> torch.Tensor:
    """Shares (K, size, size) float from 0 to 1 of masks inside boxes: ``which`` (K,) of the masks (N, H, W) bool or float."""
    return roi_align(masks[:, None].float(), boxes, which, (size, size), 1.0, wrap)[:, 0]


def share_inside(region: torch.Tensor, boxes: torch.Tensor, wrap: bool) -> torch.Tensor:
    """How much (K,) of each box a region (H, W) fills, from 0 to 1, at 7 x 7 samples."""
    first = torch.zeros(len(boxes), dtype=torch.int64, device=boxes.device)
    return roi_align(region[None, None].float(), boxes, first, (1, 1), 1.0, wrap, samples=7)[:, 0, 0, 0]


def paste_masks(shares: torch.Tensor, boxes: torch.Tensor, image_size: tuple[int, int], threshold: float = 0.5) -> torch.Tensor:
    """Masks (N, H, W) bool of an image: where the share (N, h, w) inside the box (N, 4), read bilinearly, exceeds the threshold.

    Boxes as :func:`models.seamless.boxes.settle` leaves them; one that runs over the right border goes on at column 0.
    """
    height, width = image_size
    pasted = torch.zeros((len(boxes), height, width), dtype=torch.bool, device=shares.device)
    for mask, share, box in zip(pasted, shares, boxes):
        left, top, right, bottom = box.tolist()
        if right <= left or bottom <= max(top, 0) or top >= height:
            continue
        rows = torch.arange(max(int(top), 0), min(int(bottom) + 1, height), device=shares.device)
        columns = torch.arange(int(left), min(int(right) + 1, int(left) + width), device=shares.device)
        down = 2 * (rows + 0.5 - top) / (bottom - top) - 1
        across = 2 * (columns + 0.5 - left) / (right - left) - 1
        grid = torch.stack(torch.meshgrid(across, down, indexing="xy"), dim=-1)[None].to(share.dtype)
        inside = grid_sample(share[None, None], grid, align_corners=False)[0, 0] > threshold
        mask[rows[:, None], torch.remainder(columns, width)[None]] = inside
    return pasted
