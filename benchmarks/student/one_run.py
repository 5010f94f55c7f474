"""One arm with one seed: train, then measure on scenes that nothing was chosen by."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch

from benchmarks.student.arms import ABLATION, Arm
from benchmarks.student.data import choose, open_store, split_items
from benchmarks.student.figures import student_figures
from benchmarks.student.recipe import Recipe, make_network
from benchmarks.student.scale import CPU, Scale, scale_of
from geometry.resampling.augment import Augmentation
from models.student import StudentModel
from models.student.cosines import gradient_cosines, task_losses
from models.student.losses import student_losses
from tasks.train.labels.auxiliaries import deriving
from tasks.train.labels.data import Batch, DataSettings, LabelStore, TrainingData
from tasks.train.labels.items import ItemSettings
from tasks.train.settings import TrainSettings
from tasks.train.student.training import train_model

DEPTH_EDGE = 0.1
COSINES = 3
"""Times in a training that the gradients of its tasks are compared."""
PROBE = 2
"""Held-out panoramas that they are compared on."""


def run_arm(arm: Arm, seed: int, folder: Path, recipe: Recipe, rate: float, split: str = "test") -> dict[str, Any]:
    """Train one arm and measure it.

    Returns
    -------
    dict
        JSON values: the arm, the seed, the recipe and the learning rate; ``parameters`` without those of the ``backbone``;
        ``seconds`` of training; ``losses`` of the last step; ``cosines`` by step, of arms of the ablation; ``scenes``: figures
        by panorama.
    """
    scale = scale_of(folder)
    stores = [_labels(one.store, one.part, one.weight, seed, folder) for one in arm.labels]
    data = TrainingData(stores, data_settings(arm, recipe, seed, scale))
    model = make_network(arm, data.classes, seed, scale)
    compared = split == "test" and arm in ABLATION and len(arm.tasks) > 1
    log = _Log(model, arm, _probe(arm, folder) if compared else None)
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as checkpoints:
        train_model(model, data, None, train_settings(recipe, rate, seed, scale), checkpoints, log)
    seconds = time.perf_counter() - started
    return {
        "arm": asdict(arm),
        "seed": seed,
        "recipe": asdict(recipe),
        "rate": rate,
        "parameters": _size(model) - _size(model.backbone),
        "backbone": _size(model.backbone),
        "seconds": round(seconds, 1),
        "losses": log.losses,
        "cosines": log.cosines,
        "split": split,
        "scenes": student_figures(model, split_items(open_store(folder, "truth"), split), folder, scale.device),
    }


def _labels(name: str, part: str, weight: float, seed: int, folder: Path) -> LabelStore:
    return replace(choose(open_store(folder, name), part, seed), weight=weight)


def data_settings(arm: Arm, recipe: Recipe, seed: int, scale: Scale = CPU) -> DataSettings:
    """How an arm reads its labels."""
    auxiliaries = arm.network == "student" and bool(arm.settings.get("auxiliaries", True))
    item = ItemSettings(
        scale.height,
        arm.tasks,
        confidence=arm.confidence,
        augmentation=Augmentation(),
        derive=deriving(arm.tasks, DEPTH_EDGE) if auxiliaries else dict,
        one_view=arm.one_view,
    )
    return DataSettings(item, recipe.batch, seed=seed, threads=scale.threads)


def train_settings(recipe: Recipe, rate: float, seed: int, scale: Scale = CPU) -> TrainSettings:
    """How an arm trains: a fixed number of steps, and the last average of weights, so that no labels choose."""
    return TrainSettings(
        steps=recipe.steps,
        learning_rate=rate,
        frozen_steps=scale.frozen_steps,
        warmup_steps=recipe.warmup,
        average=recipe.average,
        seed=seed,
        log_every=max(recipe.steps // COSINES, 1),
        checkpoint_every=recipe.steps,
        precision=scale.precision,
        device=scale.device,
    )


class _Log:
    """The last losses, and the cosines between tasks' gradients on the same held-out panoramas, whose truth is known."""

    def __init__(self, model: StudentModel, arm: Arm, probe: Batch | None) -> None:
        self.model, self.tasks, self.probe = model, arm.tasks, probe
        self.losses: dict[str, float] = {}
        self.cosines: dict[str, dict[str, float]] = {}

    def __call__(self, step: int, figures: Mapping[str, float]) -> None:
        self.losses = {name: round(float(value), 5) for name, value in figures.items()}
        if self.probe is not None:
            device = self.model.device
            output = self.model(self.probe.images.to(device).float() / 255)
            labels = {name: label.to(device) for name, label in self.probe.labels.items()}
            losses = task_losses(student_losses(output, labels))
            found = gradient_cosines(self.model, {task: losses[task] for task in self.tasks})
            self.cosines[str(step)] = {name: round(value, 4) for name, value in found.items()}


def _probe(arm: Arm, folder: Path) -> Batch:
    item = ItemSettings(scale_of(folder).height, arm.tasks, confidence=False)
    data = TrainingData([open_store(folder, "truth")], DataSettings(item, PROBE, "val", threads=1))
    return next(iter(data.batches(0)))


def _size(module: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())
