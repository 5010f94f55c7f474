"""How long and how every arm trains: one recipe for all, but for the learning rate, which each kind of network has its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from benchmarks.student.arms import Arm
from benchmarks.student.peers import CrossTask, PlainDpt
from benchmarks.student.scale import CPU, Scale
from models.student import StudentConfig, StudentModel
from models.student.configuration import tiny_config

NETWORKS = {"student": StudentModel, "dpt": PlainDpt, "cross-task": CrossTask}
COMMON = {"vector_frame": "local"}
"""Of all networks. In the world frame one that treats all longitudes alike, as the peers and the student without modulation
do, could not say which way a wall faces."""


@dataclass(frozen=True)
class Recipe:
    """How long every arm trains, on how many panoramas a step, and the decay of the average of weights."""

    steps: int = CPU.steps
    batch: int = CPU.batch
    average: float = CPU.average

    @property
    def name(self) -> str:
        """For a folder: runs of different recipes never share one."""
        return f"{self.steps}x{self.batch}-{self.average:g}"

    @property
    def warmup(self) -> int:
        """A tenth of the steps."""
        return self.steps // 10


def recipe_of(scale: Scale, steps: int | None = None) -> Recipe:
    """The recipe of a scale, or a shorter or longer one."""
    return Recipe(steps or scale.steps, scale.batch, scale.average)


def make_network(arm: Arm, classes: Sequence[str], seed: int, scale: Scale = CPU) -> StudentModel:
    """The network that an arm names; its first weights follow from the seed."""
    torch.manual_seed(seed)
    settings = {**COMMON, "main_tasks": arm.tasks, **scale.settings[arm.network], **arm.settings}
    if arm.network != "student":
        settings["auxiliaries"] = False
    names = classes if "semantics" in arm.tasks else ()
    named = {"id2label": dict(enumerate(names))}
    config = tiny_config(scale.backbone, names, **settings) if scale.backbone else StudentConfig(**named, **settings)
    model = NETWORKS[arm.network](config)
    if scale.pretrained:
        model.backbone.load(scale.pretrained)
    return model
