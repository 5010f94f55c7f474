"""Boxes of proposals and detections on a panorama, in torch: overlap, suppression and coding that know of the seam.

A box is (left, top, right, bottom) in pixels, edges not centres, with left < right; on a panorama ``period`` pixels wide, boxes
that differ by a turn are the same box. ``period=None`` is an ordinary image.
"""

from __future__ import annotations

import math

import numpy as np
import torch

LARGEST_STEP = math.log(1000 / 16)
"""Of a predicted logarithmic change of size, so that no box explodes."""


def box_iou(one: torch.Tensor, other: torch.Tensor, period: float | None = None) -> torch.Tensor:
    """Intersection over union (N, M) of boxes (N, 4) and (M, 4), none wider than the period; 0 for boxes without area."""
    low = torch.maximum(one[:, None, 1], other[None, :, 1])
    high = torch.minimum(one[:, None, 3], other[None, :, 3])
    shared = (high - low).clamp(min=0) * _shared_width(one, other, period)
    union = _area(one)[:, None] + _area(other)[None] - shared
    return shared / union.clamp(min=1e-12)


def _area(boxes: torch.Tensor) -> torch.Tensor:
    return (boxes[:, 2] - boxes[:, 0]).clamp(min=0) * (boxes[:, 3] - boxes[:, 1]).clamp(min=0)


def _shared_width(one: torch.Tensor, other: torch.Tensor, period: float | None) -> torch.Tensor:
    """Columns (N, M) that two boxes share; on a panorama they can meet at both ends."""
    left, width = one[:, None, 0], (one[:, 2] - one[:, 0])[:, None]
    start, reach = other[None, :, 0] - left, (other[:, 2] - other[:, 0])[None]
    if period is None:
        return (torch.minimum(width, start + reach) - start.clamp(min=0)).clamp(min=0)
    start = torch.remainder(start, period)
    ahead = (torch.minimum(width, start + reach) - start).clamp(min=0)
    around = (torch.minimum(width, start - period + reach)).clamp(min=0)
    return ahead + around


def suppress(
    boxes: torch.Tensor,
    scores: torch.Tensor,
    threshold: float,
    period: float | None = None,
    groups: torch.Tensor | None = None,
    limit: int | None = None,
) -> torch.Tensor:
    """Non-maximum suppression: indices int64 of the boxes kept, surest first; of equal scores in their order.

    Parameters
    ----------
    boxes, scores : (N, 4), (N,)
    threshold : a box goes if its IoU with a surer one that is kept is above it
    groups : (N,) int, a class or a level; boxes of different groups do not suppress each other
    limit : most boxes to keep
    """
    order = torch.argsort(scores, descending=True, stable=True)
    # Groups apart: the table of overlaps, which grows with the square of the boxes, is most of the work.
    groups = torch.zeros_like(order) if groups is None else groups[order]
    kept = torch.zeros_like(order, dtype=torch.bool)
    for group in groups.unique():
        own = torch.nonzero(groups == group)[:, 0]
        kept[own] = _survivors(box_iou(boxes[order[own]], boxes[order[own]], period) > threshold, limit)
    return order[kept][:limit]


def _survivors(clash: torch.Tensor, limit: int | None) -> torch.Tensor:
    """Which (N,) bool of boxes, surest first, clash (N, N) with no surer one that is kept."""
    # One copy to the host instead of one for each box.
    rivals = clash.cpu().numpy()
    gone, kept, count = np.zeros(len(rivals), bool), np.zeros(len(rivals), bool), 0
    for index in range(len(rivals)):
        if not gone[index] and (limit is None or count < limit):
            kept[index] = True
            gone |= rivals[index]
            count += 1
    return torch.from_numpy(kept).to(clash.device)


def settle(boxes: torch.Tensor, height: float, width: float, wrap: bool) -> torch.Tensor:
    """Boxes inside the image: clipped, or on a panorama turned so that 0 <= left < width, and at most a turn wide."""
    left, top, right, bottom = boxes.unbind(-1)
    top, bottom = top.clamp(0, height), bottom.clamp(0, height)
    if not wrap:
        return torch.stack([left.clamp(0, width), top, right.clamp(0, width), bottom], dim=-1)
    span = (right - left).clamp(max=width)
    # A box wider than a turn keeps its middle.
    left = torch.remainder((left + right - span) / 2, width)
    left = torch.where(left >= width, torch.zeros_like(left), left)
    return torch.stack([left, top, left + span, bottom], dim=-1)


def encode(boxes: torch.Tensor, anchors: torch.Tensor, period: float | None = None) -> torch.Tensor:
    """Steps (N, 4) from anchors to boxes: shift of the centre in anchor sizes, the short way round, and log of the size ratio."""
    centre, size = _centre_and_size(boxes)
    anchor_centre, anchor_size = _centre_and_size(anchors)
    shift = centre - anchor_centre
    if period is not None:
        across = torch.remainder(shift[:, 0] + period / 2, period) - period / 2
        shift = torch.stack([across, shift[:, 1]], dim=-1)
    return torch.cat([shift / anchor_size, torch.log(size / anchor_size)], dim=-1)


def decode(steps: torch.Tensor, anchors: torch.Tensor) -> torch.Tensor:
    """Boxes (N, 4) that steps of :func:`encode` lead to; they may leave the image, see :func:`settle`."""
    anchor_centre, anchor_size = _centre_and_size(anchors)
    centre = anchor_centre + steps[:, :2] * anchor_size
    size = anchor_size * torch.exp(steps[:, 2:].clamp(max=LARGEST_STEP))
    return torch.cat([centre - size / 2, centre + size / 2], dim=-1)


def _centre_and_size(boxes: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    return (boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]
