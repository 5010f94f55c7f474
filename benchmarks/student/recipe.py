"""How long and how every arm trains: one recipe for all, but for the learning rate, which each kind of network has its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from zlib import crc32

import torch
from transformers import PreTrainedModel

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
        """For a folder: runs of different recipes never share one, nor those with first weights that were drawn otherwise."""
        return f"{self.steps}x{self.batch}-{self.average:g}-by-name"

    @property
    def warmup(self) -> int:
        """A tenth of the steps."""
        return self.steps // 10


def recipe_of(scale: Scale, steps: int | None = None) -> Recipe:
    """The recipe of a scale, or a shorter or longer one."""
    return Recipe(steps or scale.steps, scale.batch, scale.average)


def make_network(arm: Arm, classes: Sequence[str], seed: int, scale: Scale = CPU) -> StudentModel:
    """The network that an arm names; its first weights follow from the seed, as :func:`draw_by_name` has it."""
    settings = {**COMMON, "main_tasks": arm.tasks, **scale.settings[arm.network], **arm.settings}
    if arm.network != "student":
        settings["auxiliaries"] = False
    names = classes if "semantics" in arm.tasks else ()
    named = {"id2label": dict(enumerate(names))}
    config = tiny_config(scale.backbone, names, **settings) if scale.backbone else StudentConfig(**named, **settings)
    model = NETWORKS[arm.network](config)
    draw_by_name(model, seed)
    if scale.pretrained:
        model.backbone.load(scale.pretrained)
    with torch.no_grad():
        for weight in model.parameters():
            weight.mul_(arm.factor)
    return model


def draw_by_name(model: PreTrainedModel, seed: int) -> None:
    """Draw first weights anew, those of each module from the seed and its name, by the rule of the model that it belongs to.

    One generator for all would give two networks that differ in one module other weights everywhere behind it. So modules of one
    name and shape begin alike in all networks of a seed.
    """
    owners: dict[str, PreTrainedModel] = {}
    for name, module in model.named_modules():
        owners[name] = module if isinstance(module, PreTrainedModel) else owners[name.rpartition(".")[0]]
    with torch.random.fork_rng(devices=[]):
        for name, module in reversed(list(model.named_modules())):  # as transformers: what a module holds before itself
            torch.manual_seed(crc32(f"{seed} {name}".encode()))
            owners[name]._init_weights(module)
