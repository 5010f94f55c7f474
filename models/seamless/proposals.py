"""Where objects may be: anchors, a head that scores and moves them, and the choice among them, all across the seam."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits, smooth_l1_loss

from models.seamless.boxes import box_iou, decode, encode, settle, suppress
from models.seamless.layers import WrapConv

IGNORED = -1


@dataclass(frozen=True)
class ProposalSettings:
    """``size``: of an anchor in strides of its level; ``ratios``: height over width.

    ``candidates`` a level go into suppression at IoU ``overlap``, ``limit`` an image come out. An anchor is positive from IoU
    ``positive`` on, and negative below ``negative``; ``sampled`` of them an image are learned from, half of them positive if
    there are as many.
    """

    size: float = 8.0
    ratios: tuple[float, ...] = (0.5, 1.0, 2.0)
    candidates: int = 1000
    limit: int = 1000
    overlap: float = 0.7
    positive: float = 0.7
    negative: float = 0.3
    sampled: int = 256


def level_anchors(height: int, width: int, stride: int, settings: ProposalSettings) -> torch.Tensor:
    """Anchors (height * width * ratios, 4) of a level, row by row, in pixels of the input."""
    ratios = torch.tensor(settings.ratios)
    size = settings.size * stride
    half = torch.stack([size / ratios.sqrt(), size * ratios.sqrt()], dim=-1) / 2
    row, column = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
    centre = (torch.stack([column, row], dim=-1) * stride).reshape(-1, 1, 2)
    return torch.cat([centre - half, centre + half], dim=-1).reshape(-1, 4)


class ProposalHead(nn.Module):
    """For each anchor of each level a logit of being an object, and steps to its box."""

    def __init__(self, channels: int, settings: ProposalSettings, wrap: bool) -> None:
        super().__init__()
        count = len(settings.ratios)
        self.hidden = WrapConv(channels, channels, 3, wrap)
        self.objectness = WrapConv(channels, count, 1, wrap)
        self.steps = WrapConv(channels, 4 * count, 1, wrap)
        for layer in (self.hidden, self.objectness, self.steps):
            nn.init.normal_(layer.weight, std=0.01)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)

    def forward(self, levels: Sequence[torch.Tensor]) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """Maps (B, C, H, W) -> for each, logits (B, H * W * A) and steps (B, H * W * A, 4) in the order of the anchors."""
        return [self._of_level(level) for level in levels]

    def _of_level(self, level: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        hidden = self.hidden(level).relu()
        logits = self.objectness(hidden).permute(0, 2, 3, 1).flatten(1)
        return logits, self.steps(hidden).permute(0, 2, 3, 1).reshape(len(level), -1, 4)


def propose(
    said: Sequence[tuple[torch.Tensor, torch.Tensor]],
    anchors: Sequence[torch.Tensor],
    image_size: tuple[int, int],
    wrap: bool,
    settings: ProposalSettings,
) -> list[torch.Tensor]:
    """Boxes (K, 4) for each image, surest first; no gradient goes through them.

    Parameters
    ----------
    said : of each level, as from :class:`ProposalHead`
    anchors : of each level, as from :func:`level_anchors`
    image_size : (H, W) in pixels
    """
    height, width = image_size
    found = []
    for index in range(len(said[0][0])):
        boxes, scores, level = [], [], []
        for number, ((logits, steps), given) in enumerate(zip(said, anchors)):
            score = logits[index].detach()
            best = score.topk(min(settings.candidates, len(score))).indices
            boxes.append(settle(decode(steps[index].detach()[best], given[best]), height, width, wrap))
            scores.append(score[best])
            level.append(torch.full_like(best, number))
        box, score = torch.cat(boxes), torch.cat(scores)
        real = (box[:, 2] - box[:, 0] > 0) & (box[:, 3] - box[:, 1] > 0)
        box, score, group = box[real], score[real], torch.cat(level)[real]
        period = float(width) if wrap else None
        found.append(box[suppress(box, score, settings.overlap, period, group, settings.limit)])
    return found


def assign(
    boxes: torch.Tensor, truth: torch.Tensor, positive: float, negative: float, period: float | None, rescue: bool
) -> tuple[torch.Tensor, torch.Tensor]:
    """Which true box each box stands for.

    Parameters
    ----------
    boxes, truth : (N, 4), (M, 4)
    positive, negative : a box is positive from IoU ``positive`` on, negative below ``negative``, and ignored between
    rescue : the boxes that fit a true box best are positive whatever their IoU, if it is above 0

    Returns
    -------
    kind : (N,) int64, 1 positive, 0 negative, ``IGNORED``
    index : (N,) int64 of the true box that fits best; 0 where there is none
    """
    if not len(truth):
        nothing = torch.zeros(len(boxes), dtype=torch.int64, device=boxes.device)
        return nothing, nothing.clone()
    iou = box_iou(boxes, truth, period)
    best, index = iou.max(dim=1)
    kind = torch.full_like(index, IGNORED)
    kind[best < negative] = 0
    kind[best >= positive] = 1
    if rescue:
        most = iou.max(dim=0).values
        kind[((iou >= most - 1e-6) & (most > 0)).any(dim=1)] = 1
    return kind, index


def sample(kind: torch.Tensor, count: int, share: float, generator: torch.Generator) -> torch.Tensor:
    """Indices of at most ``count`` boxes, positives (at most ``share`` of ``count``) first, then negatives, drawn at random."""
    positives, negatives = torch.nonzero(kind == 1)[:, 0], torch.nonzero(kind == 0)[:, 0]
    some = positives[_shuffled(len(positives), generator).to(positives.device)[: int(count * share)]]
    rest = negatives[_shuffled(len(negatives), generator).to(negatives.device)[: count - len(some)]]
    return torch.cat([some, rest])


def _shuffled(count: int, generator: torch.Generator) -> torch.Tensor:
    # A generator draws on its own device alone.
    return torch.randperm(count, generator=generator, device=generator.device)


def proposal_loss(
    said: Sequence[tuple[torch.Tensor, torch.Tensor]],
    anchors: Sequence[torch.Tensor],
    truth: Sequence[torch.Tensor],
    period: float | None,
    settings: ProposalSettings,
    generator: torch.Generator,
    blank: Sequence[torch.Tensor] | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Loss of being an object and loss of the steps, each a scalar, of a batch; ``truth``: boxes (M, 4) of each image.

    ``blank`` says of each image's anchors (N,) which show nothing that was photographed: these are no negatives. Both losses are
    sums over sampled anchors divided by their number over all images.
    """
    logits = torch.cat([level[0] for level in said], dim=1)
    steps = torch.cat([level[1] for level in said], dim=1)
    every = torch.cat(list(anchors))
    objectness, regression, count = logits.sum() * 0, steps.sum() * 0, 0
    for index, boxes in enumerate(truth):
        kind, match = assign(every, boxes, settings.positive, settings.negative, period, rescue=True)
        if blank is not None:
            kind = torch.where((kind == 0) & blank[index], torch.full_like(kind, IGNORED), kind)
        chosen = sample(kind, settings.sampled, 0.5, generator)
        count += len(chosen)
        goal = (kind[chosen] == 1).to(logits.dtype)
        objectness = objectness + binary_cross_entropy_with_logits(logits[index, chosen], goal, reduction="sum")
        good = chosen[kind[chosen] == 1]
        if len(good):
            aim = encode(boxes[match[good]], every[good], period)
            regression = regression + smooth_l1_loss(steps[index, good], aim, beta=1 / 9, reduction="sum")
    return objectness / max(count, 1), regression / max(count, 1)
