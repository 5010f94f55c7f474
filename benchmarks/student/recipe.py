"""How long and how every arm trains: one recipe for all, but for the learning rate, which each kind of network has its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from benchmarks.student.arms import Arm
from benchmarks.student.peers import CrossTask, PlainDpt
from models.student import StudentModel
from models.student.configuration import tiny_config

SIZES: dict[str, dict[str, Any]] = {
    "student": {},
    "dpt": {"width": 18, "neck_sizes": (18, 18, 18, 18), "fusion_width": 18, "attention_heads": 2},
    "cross-task": {"width": 36, "attention_heads": 4, "mlp_ratio": 2},
}
"""Widths that give the peers about as many parameters as the student."""
NETWORKS = {"student": StudentModel, "dpt": PlainDpt, "cross-task": CrossTask}
BACKBONE = "convnext"
COMMON = {"vector_frame": "local"}
"""Of all networks. In the world frame one that treats all longitudes alike, as the peers and the student without modulation
do, could not say normals at all."""
RATES = {"student": 4e-3, "dpt": 4e-3, "cross-task": 2e-3}
"""Learning rates by network: the best of :mod:`benchmarks.student.rates` on the held-out split."""


@dataclass(frozen=True)
class Recipe:
    """How long every arm trains, on how many panoramas a step, and the decay of the average of weights."""

    steps: int = 150
    batch: int = 4
    average: float = 0.97

    @property
    def name(self) -> str:
        """For a folder: runs of different recipes never share one."""
        return f"{self.steps}x{self.batch}-{self.average:g}"

    @property
    def warmup(self) -> int:
        """A tenth of the steps."""
        return self.steps // 10


def make_network(arm: Arm, classes: Sequence[str], seed: int) -> StudentModel:
    """The network that an arm names; its first weights follow from the seed."""
    torch.manual_seed(seed)
    settings = {**COMMON, "main_tasks": arm.tasks, **SIZES[arm.network], **arm.settings}
    if arm.network != "student":
        settings["auxiliaries"] = False
    names = classes if "semantics" in arm.tasks else ()
    return NETWORKS[arm.network](tiny_config(BACKBONE, names, **settings))
