"""RoIAlign in plain torch, on panoramas across the seam."""

from __future__ import annotations

import torch
from torch.nn.functional import avg_pool2d, grid_sample


def roi_align(
    features: torch.Tensor,
    boxes: torch.Tensor,
    image: torch.Tensor,
    size: tuple[int, int],
    scale: float,
    wrap: bool,
    samples: int = 2,
) -> torch.Tensor:
    """Features resampled inside boxes: the mean of ``samples`` x ``samples`` bilinear samples for each output pixel.

    Parameters
    ----------
    features : (B, C, H, W) float
    boxes : (K, 4) left, top, right, bottom in pixels of the input image, edges not centres
    image : (K,) int, which of the B each box belongs to
    size : (h, w) of the output
    scale : feature pixels per image pixel, 1 / stride
    wrap : columns go on at the other side; else, as for rows, samples outside take the nearest pixel

    Returns
    -------
    (K, C, h, w) of the features' dtype; differentiable in the features

    Notes
    -----
    Centres of pixels are at +0.5 ("aligned" in torchvision, which also gives 0 to samples more than a pixel outside the image).
    """
    output = features.new_zeros((len(boxes), features.shape[1], *size))
    for index in range(len(features)):
        own = torch.nonzero(image == index)[:, 0]
        if len(own):
            # index_copy keeps the graph; writing into a slice of a leaf would not.
            output = output.index_copy(0, own, _of_one(features[index], boxes[own] * scale, size, wrap, samples))
    return output


def _of_one(features: torch.Tensor, boxes: torch.Tensor, size: tuple[int, int], wrap: bool, samples: int) -> torch.Tensor:
    channels, height, width = features.shape
    rows, columns = (
        _positions(boxes[:, side], boxes[:, side + 2], count * samples) for side, count in ((1, size[0]), (0, size[1]))
    )
    if wrap:
        # One more column on each side lets a sample lie between the last column and the first.
        columns = torch.remainder(columns, width) + 1
        features = torch.cat([features[..., -1:], features, features[..., :1]], dim=-1)
    across = 2 * columns / features.shape[-1] - 1
    down = 2 * rows / height - 1
    shape = (len(boxes), rows.shape[1], columns.shape[1])
    grid = torch.stack([across[:, None, :].expand(shape), down[:, :, None].expand(shape)], dim=-1).to(features.dtype)
    flat = grid.reshape(1, shape[0] * shape[1], shape[2], 2)
    sampled = grid_sample(features[None], flat, mode="bilinear", padding_mode="border", align_corners=False)[0]
    pooled = avg_pool2d(sampled.reshape(channels * shape[0], 1, shape[1], shape[2]), samples)
    return pooled.reshape(channels, shape[0], *size).transpose(0, 1)


def _positions(low: torch.Tensor, high: torch.Tensor, count: int) -> torch.Tensor:
    """Centres (K, count) of equal parts of each interval."""
    part = (torch.arange(count, device=low.device, dtype=low.dtype) + 0.5) / count
    return low[:, None] + part * (high - low)[:, None]
