"""The peer: adaptation of semantics by class prototypes, after 360SFUDA (Zheng et al., CVPR 2024), reduced to its core.

The source model, frozen, sees narrow views of a panorama, which look like its own pinhole images; the mean features of each
class in them are its prototypes, gathered over steps. The adapted model learns the pseudo-labels of the whole view, and its own
class means are drawn to the prototypes. Left out are the tangent images and the dual attention of the original; objects
are taught nothing, so that only mIoU is its claim.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch.nn.functional import cross_entropy, interpolate, kl_div

from benchmarks.adaptation.labels import Predicted
from geometry.instances.boxes import cut
from models.adaptation.crops import random_window
from models.adaptation.pseudo_labels import semantic_labels
from models.adaptation.thresholds import Rule
from models.seamless.network import IGNORED, SeamlessNetwork
from models.seamless.saved import SeamlessModel
from tasks.adapt.learner import rate_groups
from tasks.adapt.settings import AdaptTraining

INERTIA = 0.9
"""Share of the gathered prototypes that a step keeps."""


def prototype_adaptation(model: SeamlessModel, given: Sequence[Predicted], rule: Rule, settings: AdaptTraining) -> SeamlessModel:
    """Train the model's encoder, pyramid and semantic head by pseudo-labels and prototypes."""
    assert isinstance(model.network, SeamlessNetwork)
    frozen, network = model.network.for_crops().eval(), model.network.for_crops().train()
    groups = [{"params": list(group.parameters), "lr": group.rate} for group in rate_groups(network, settings)]
    optimizer = torch.optim.AdamW(groups, weight_decay=settings.weight_decay)
    initial = [group["lr"] for group in optimizer.param_groups]
    generator = np.random.default_rng([settings.seed, 4])
    gathered = torch.full((len(model.classes), model.network.settings.channels), torch.nan)
    for step in range(settings.steps):
        for group, rate in zip(optimizer.param_groups, initial, strict=True):
            group["lr"] = rate * (1 - step / settings.steps) ** 0.9
        pixels, labels = _batch(given, rule, len(model.classes), settings, generator)
        images = model.normalised(pixels)
        gathered = _gather(gathered, _narrow_prototypes(frozen, images, labels, len(gathered)))
        loss = _loss(network, images, labels, gathered)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), settings.clip)
        optimizer.step()
    model.network.load_state_dict(network.state_dict())
    model.network.eval()
    return model


def class_means(features: torch.Tensor, labels: torch.Tensor, classes: int) -> torch.Tensor:
    """Mean feature of each class (classes, C), NaN for an absent one; features (B, C, h, w), labels (B, H, W), 255 ignored."""
    small = interpolate(labels[:, None].float(), size=features.shape[-2:], mode="nearest")[:, 0].long()
    flat, owner = features.movedim(1, -1).reshape(-1, features.shape[1]), small.reshape(-1)
    known = owner != IGNORED
    sums = flat.new_zeros(classes, features.shape[1]).index_add(0, owner[known], flat[known])
    counts = torch.bincount(owner[known], minlength=classes)[:, None]
    return torch.where(counts > 0, sums / counts.clamp(min=1), torch.nan)


def _narrow_prototypes(frozen: SeamlessNetwork, images: torch.Tensor, labels: torch.Tensor, classes: int) -> torch.Tensor:
    """What the source model makes of the left and the right half of each crop."""
    half = images.shape[-1] // 64 * 32
    views, own = (torch.cat([one[..., :half], one[..., -half:]]) for one in (images, labels))
    with torch.no_grad():
        return class_means(frozen.features(views)[0], own, classes)


def _gather(gathered: torch.Tensor, new: torch.Tensor) -> torch.Tensor:
    moved = torch.where(gathered.isnan(), new, INERTIA * gathered + (1 - INERTIA) * new)
    return torch.where(new.isnan(), gathered, moved)


def _loss(network: SeamlessNetwork, images: torch.Tensor, labels: torch.Tensor, gathered: torch.Tensor) -> torch.Tensor:
    levels = network.features(images)
    logits = interpolate(network.semantic(levels[:4]), size=images.shape[-2:], mode="bilinear", align_corners=False)
    total = cross_entropy(logits, labels, ignore_index=IGNORED) if (labels != IGNORED).any() else logits.sum() * 0
    own = class_means(levels[0], labels, len(gathered))
    there = ~(own.isnan() | gathered.isnan()).any(dim=1)
    if there.any():
        aims = gathered[there].log_softmax(dim=1)
        total = total + kl_div(own[there].log_softmax(dim=1), aims, log_target=True, reduction="batchmean")
    return total


def _batch(
    given: Sequence[Predicted], rule: Rule, classes: int, settings: AdaptTraining, generator: np.random.Generator
) -> tuple[np.ndarray, torch.Tensor]:
    size = (given[0].pixels.shape[0], given[0].pixels.shape[1])
    pixels, labels = [], []
    for index in generator.integers(len(given), size=settings.batch_size):
        one, window = given[index], random_window(size, settings.crop, generator)
        said = semantic_labels(one.semantics, one.confidence, np.full(classes, rule.fixed))
        pixels.append(cut(one.pixels, window))
        labels.append(cut(said, window))
    return np.stack(pixels), torch.from_numpy(np.stack(labels).astype(np.int64))
