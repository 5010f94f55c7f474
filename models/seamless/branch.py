"""An instance branch: proposals, boxes with classes, and class-specific masks over a shared feature pyramid.

The network has two of them that share nothing but their input: one learns visible masks, the other whole (amodal) ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import nn
from torch.nn.functional import cross_entropy, smooth_l1_loss

from models.seamless.boxes import decode, encode, settle, suppress
from models.seamless.layers import WrapConv
from models.seamless.losses import uncertainty_guided_bce
from models.seamless.masks import cut_masks, paste_masks, share_inside
from models.seamless.proposals import (
    IGNORED,
    ProposalHead,
    ProposalSettings,
    assign,
    level_anchors,
    proposal_loss,
    propose,
    sample,
)
from models.seamless.roi_align import roi_align

Sampled = tuple[torch.Tensor, torch.Tensor, torch.Tensor]
"""Boxes (K, 4) to learn from, positives first, the index (K,) of each one's true box, and whether (K,) it is positive."""
STEP_SCALE = (10.0, 10.0, 5.0, 5.0)
"""Of the box head's steps, so that they are about as large as its logits."""


@dataclass(frozen=True)
class BranchSettings:
    """``hidden``: width of the box head; ``box_size`` and ``mask_size``: of features cut for either; masks come out twice that.

    ``sampled`` proposals an image are learned from, a quarter of them positive if there are as many. At test detections count
    from ``least_score`` on, are suppressed within their class at IoU ``overlap``, and are at most ``limit``. With
    ``ignore_uncertain`` boxes that are more than half uncertain teach nothing, instead of teaching background.
    """

    proposals: ProposalSettings = field(default_factory=ProposalSettings)
    hidden: int = 1024
    box_size: int = 7
    mask_size: int = 14
    mask_layers: int = 4
    sampled: int = 512
    least_score: float = 0.05
    overlap: float = 0.5
    limit: int = 100
    ignore_uncertain: bool = False


@dataclass(frozen=True, eq=False)
class BranchTarget:
    """What a branch learns of one image.

    ``boxes`` (M, 4), ``classes`` (M,) int64 from 0, ``masks`` (M, H, W) bool, ``uncertain`` (H, W) bool. ``blank`` (H, W) bool,
    what shows nothing that was photographed, if there is any: boxes that lie there by half teach nothing, whatever the settings.
    """

    boxes: torch.Tensor
    classes: torch.Tensor
    masks: torch.Tensor
    uncertain: torch.Tensor
    blank: torch.Tensor | None = None

    def to(self, device: torch.device) -> BranchTarget:
        """The same on a device."""
        boxes, classes, masks, uncertain = (part.to(device) for part in (self.boxes, self.classes, self.masks, self.uncertain))
        return BranchTarget(boxes, classes, masks, uncertain, None if self.blank is None else self.blank.to(device))

    def blank_share(self, boxes: torch.Tensor, wrap: bool) -> torch.Tensor:
        """How much (K,) of each box (K, 4) is blank, from 0 to 1."""
        return boxes.new_zeros(len(boxes)) if self.blank is None else share_inside(self.blank, boxes, wrap)


@dataclass(frozen=True, eq=False)
class BranchDetections:
    """One image's finds, surest first: ``masks`` (N, H, W) bool, ``classes`` (N,) from 0, ``scores`` (N,), ``boxes`` (N, 4)."""

    masks: torch.Tensor
    classes: torch.Tensor
    scores: torch.Tensor
    boxes: torch.Tensor


class InstanceBranch(nn.Module):
    """``channels`` and ``strides`` are the pyramid's, without its coarsest level, which serves proposals alone."""

    def __init__(self, channels: int, strides: Sequence[int], classes: int, settings: BranchSettings, wrap: bool) -> None:
        super().__init__()
        self.strides, self.classes, self.settings, self.wrap = tuple(strides), classes, settings, wrap
        self.proposals = ProposalHead(channels, settings.proposals, wrap)
        self.box = nn.Sequential(
            nn.Flatten(),
            nn.Linear(channels * settings.box_size**2, settings.hidden),
            nn.ReLU(),
            nn.Linear(settings.hidden, settings.hidden),
            nn.ReLU(),
        )
        self.name = nn.Linear(settings.hidden, classes + 1)
        self.steps = nn.Linear(settings.hidden, 4 * classes)
        nn.init.normal_(self.name.weight, std=0.01)
        nn.init.normal_(self.steps.weight, std=0.001)
        layers: list[nn.Module] = []
        for _ in range(settings.mask_layers):
            layers += [WrapConv(channels, channels, 3, wrap=False), nn.ReLU()]
        self.mask = nn.Sequential(
            *layers, nn.ConvTranspose2d(channels, channels, 2, stride=2), nn.ReLU(), nn.Conv2d(channels, classes, 1)
        )

    def losses(
        self, levels: Sequence[torch.Tensor], targets: Sequence[BranchTarget], generator: torch.Generator
    ) -> dict[str, torch.Tensor]:
        """Five scalars, ``objectness``, ``proposal``, ``name``, ``box`` and ``mask``, of pyramid levels and a target an image."""
        image_size = (targets[0].uncertain.shape[-2], targets[0].uncertain.shape[-1])
        said, anchors = self._proposed(levels)
        truth = [target.boxes for target in targets]
        settings, every = self.settings.proposals, torch.cat(anchors)
        blank = [target.blank_share(every, self.wrap) > 0.5 for target in targets]
        objectness, proposal = proposal_loss(said, anchors, truth, self._period(image_size), settings, generator, blank)
        proposed = propose(said, anchors, image_size, self.wrap, settings)
        chosen = [self._sampled(boxes, target, generator) for boxes, target in zip(proposed, targets)]
        return {"objectness": objectness, "proposal": proposal, **self._region_losses(levels, targets, chosen, image_size)}

    def _sampled(self, proposed: torch.Tensor, target: BranchTarget, generator: torch.Generator) -> Sampled:
        boxes = torch.cat([target.boxes, proposed])
        kind, match = assign(boxes, target.boxes, 0.5, 0.5, self._period(target.uncertain.shape), rescue=False)
        if self.settings.ignore_uncertain and len(boxes):
            doubtful = (kind == 0) & (share_inside(target.uncertain, boxes, self.wrap) > 0.5)
            kind = torch.where(doubtful, torch.full_like(kind, IGNORED), kind)
        kind = torch.where((kind == 0) & (target.blank_share(boxes, self.wrap) > 0.5), torch.full_like(kind, IGNORED), kind)
        chosen = sample(kind, self.settings.sampled, 0.25, generator)
        return boxes[chosen], match[chosen], kind[chosen] == 1

    def _region_losses(
        self,
        levels: Sequence[torch.Tensor],
        targets: Sequence[BranchTarget],
        chosen: Sequence[Sampled],
        image_size: tuple[int, int],
    ) -> dict[str, torch.Tensor]:
        boxes, positive = (torch.cat([one[part] for one in chosen]) for part in (0, 2))
        image = _image_index([len(one[0]) for one in chosen], boxes.device)
        goal = torch.full((len(boxes),), self.classes, device=boxes.device)
        goal[positive] = torch.cat([target.classes[match[good]] for target, (_, match, good) in zip(targets, chosen)])
        hidden = self.box(self._cut(levels, boxes, image, self.settings.box_size))
        name = cross_entropy(self.name(hidden), goal) if len(goal) else hidden.sum()
        aims = torch.cat([target.boxes[match[good]] for target, (_, match, good) in zip(targets, chosen)])
        steps = self.steps(hidden).reshape(len(boxes), self.classes, 4)[positive, goal[positive]]
        scale = steps.new_tensor(STEP_SCALE)
        aim = encode(aims, boxes[positive], self._period(image_size)) * scale
        box = smooth_l1_loss(steps, aim, beta=1.0, reduction="sum") / max(len(boxes), 1)
        logits = self.mask(self._cut(levels, boxes[positive], image[positive], self.settings.mask_size))
        own = logits[torch.arange(len(logits), device=logits.device), goal[positive]]
        certain, uncertain = self._mask_targets(targets, chosen)
        return {"name": name, "box": box, "mask": uncertainty_guided_bce(own, certain, uncertain)}

    def _mask_targets(self, targets: Sequence[BranchTarget], chosen: Sequence[Sampled]) -> tuple[torch.Tensor, torch.Tensor]:
        """Masks and uncertain regions (P, s, s) of the positive boxes: 0 or 1 for the masks, shares for the regions."""
        size = 2 * self.settings.mask_size
        certain, uncertain = [], []
        for target, (boxes, match, good) in zip(targets, chosen):
            cut = cut_masks(target.masks, match[good], boxes[good], size, self.wrap)
            certain.append((cut >= 0.5).to(cut.dtype))
            only = torch.zeros_like(match[good])
            unsure = target.uncertain if target.blank is None else target.uncertain | target.blank
            uncertain.append(cut_masks(unsure[None], only, boxes[good], size, self.wrap))
        return torch.cat(certain), torch.cat(uncertain)

    @torch.no_grad()
    def detect(self, levels: Sequence[torch.Tensor], image_size: tuple[int, int]) -> list[BranchDetections]:
        """What is found in each image of a batch."""
        said, anchors = self._proposed(levels)
        proposed = propose(said, anchors, image_size, self.wrap, self.settings.proposals)
        return [self._detect_in(levels, boxes, index, image_size) for index, boxes in enumerate(proposed)]

    def _detect_in(
        self, levels: Sequence[torch.Tensor], proposed: torch.Tensor, index: int, image_size: tuple[int, int]
    ) -> BranchDetections:
        height, width = image_size
        image = torch.full((len(proposed),), index, device=proposed.device)
        hidden = self.box(self._cut(levels, proposed, image, self.settings.box_size))
        scores = self.name(hidden).softmax(dim=-1)[:, : self.classes]
        steps = self.steps(hidden).reshape(-1, self.classes, 4) / hidden.new_tensor(STEP_SCALE)
        row, label = torch.nonzero(scores >= self.settings.least_score, as_tuple=True)
        boxes = settle(decode(steps[row, label], proposed[row]), height, width, self.wrap)
        real = (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
        boxes, label, score = boxes[real], label[real], scores[row, label][real]
        kept = suppress(boxes, score, self.settings.overlap, self._period(image_size), label, self.settings.limit)
        boxes, label, score = boxes[kept], label[kept], score[kept]
        # A proposal can become a detection of several classes: there may be more of them than proposals.
        image = torch.full((len(boxes),), index, device=boxes.device)
        logits = self.mask(self._cut(levels, boxes, image, self.settings.mask_size))
        shares = logits[torch.arange(len(logits), device=logits.device), label].sigmoid()
        return BranchDetections(paste_masks(shares, boxes, image_size), label, score, boxes)

    def _proposed(self, levels: Sequence[torch.Tensor]) -> tuple[list[tuple[torch.Tensor, torch.Tensor]], list[torch.Tensor]]:
        strides = (*self.strides, 2 * self.strides[-1])
        settings = self.settings.proposals
        anchors = [
            level_anchors(level.shape[-2], level.shape[-1], stride, settings).to(level.device)
            for level, stride in zip(levels, strides)
        ]
        return self.proposals(levels), anchors

    def _cut(self, levels: Sequence[torch.Tensor], boxes: torch.Tensor, image: torch.Tensor, size: int) -> torch.Tensor:
        """Features (K, C, size, size) of boxes, each from the level that fits its size."""
        area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
        level = torch.floor(torch.log2(area.clamp(min=1e-6).sqrt() / (56 * self.strides[0] / 4))).clamp(0, len(self.strides) - 1)
        output = levels[0].new_zeros((len(boxes), levels[0].shape[1], size, size))
        for number, stride in enumerate(self.strides):
            own = torch.nonzero(level == number)[:, 0]
            cut = roi_align(levels[number], boxes[own], image[own], (size, size), 1 / stride, self.wrap)
            output = output.index_copy(0, own, cut)
        return output

    def _period(self, image_size: Sequence[int]) -> float | None:
        return float(image_size[1]) if self.wrap else None


def _image_index(counts: Sequence[int], device: torch.device) -> torch.Tensor:
    """(sum of counts,) int64: 0 as often as the first count says, and so on."""
    return torch.repeat_interleave(torch.arange(len(counts), device=device), torch.tensor(counts, device=device))
