"""What an arm does: a source model and unlabelled panoramas become a model to measure."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from functools import cached_property
from tempfile import TemporaryDirectory

import numpy as np
import torch
from torch import nn

from benchmarks.adaptation.arms import Arm
from benchmarks.adaptation.labels import Predicted, labelled, object_pool, predicted
from benchmarks.adaptation.prototypes import prototype_adaptation
from geometry.instances.boxes import cut
from models.adaptation.crops import random_window
from models.seamless.saved import SeamlessModel
from tasks.adapt.examples import Examples
from tasks.adapt.settings import AdaptTraining
from tasks.adapt.training import adapt_model


class Start:
    """A model to begin from, and what it says of the panoramas (H, W, 3) uint8, asked for once."""

    def __init__(self, model: SeamlessModel, pixels: Sequence[np.ndarray], settings: AdaptTraining) -> None:
        self.model, self.pixels, self.settings = model, pixels, settings

    @cached_property
    def given(self) -> list[Predicted]:
        """What the model says of each panorama."""
        return [predicted(self.model, one) for one in self.pixels]

    @cached_property
    def renewed(self) -> Start:
        """The same with renewed statistics."""
        return Start(renew_statistics(copy.deepcopy(self.model), self.pixels, self.settings), self.pixels, self.settings)


def adapted(start: Start, arm: Arm) -> SeamlessModel:
    """A model of its own that an arm makes of what it starts from."""
    start = start.renewed if arm.renewed or arm.how == "statistics" else start
    model = copy.deepcopy(start.model)
    with torch.no_grad():
        for weight in model.network.parameters():
            weight.mul_(arm.factor)
    settings = start.settings.model_copy(update=dict(arm.training))
    if arm.how == "prototypes":
        return prototype_adaptation(model, start.given, arm.labels.semantic, settings)
    if arm.how == "training":
        return _trained(model, start.given, arm, settings)
    return model


def _trained(model: SeamlessModel, given: Sequence[Predicted], arm: Arm, settings: AdaptTraining) -> SeamlessModel:
    classes = len(model.classes)
    pool = [] if settings.mixing == "none" else object_pool(given, arm.pool, classes)
    examples = Examples(labelled(given, arm.labels, classes), pool, settings)
    with TemporaryDirectory() as folder:
        return adapt_model(model, examples, settings, folder, settings.steps, "cpu")[0]


def renew_statistics(model: SeamlessModel, pixels: Sequence[np.ndarray], settings: AdaptTraining) -> SeamlessModel:
    """Change nothing but the running statistics of batch normalisation, by as many crops as the trained arms see."""
    network = model.network.for_crops()
    network.eval()
    for part in network.modules():
        if isinstance(part, nn.modules.batchnorm._BatchNorm):
            part.train()
    generator = np.random.default_rng([settings.seed, 3])
    with torch.no_grad():
        for _ in range(settings.steps):
            network.class_logits(model.normalised(random_crops(pixels, settings, generator)))
    model.network.load_state_dict(network.state_dict())
    return model


def random_crops(pixels: Sequence[np.ndarray], settings: AdaptTraining, generator: np.random.Generator) -> np.ndarray:
    """A batch (B, h, w, 3) of crops from anywhere."""
    size = (pixels[0].shape[0], pixels[0].shape[1])
    chosen = generator.integers(len(pixels), size=settings.batch_size)
    return np.stack([cut(pixels[index], random_window(size, settings.crop, generator)) for index in chosen])
