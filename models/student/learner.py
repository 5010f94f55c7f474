"""How a student learns: from labels of whole panoramas, its backbone standing still at first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from models.learner import Group, Learner
from models.student.cosines import gradient_cosines, task_losses
from models.student.labels import Label
from models.student.losses import LossSettings, student_losses
from models.student.modeling import StudentModel


class LabelledPanoramas(Protocol):
    """A batch: ``images`` (B, 3, H, W) uint8, ``labels`` by task, ``items`` the panoramas' names."""

    @property
    def images(self) -> Tensor: ...

    @property
    def labels(self) -> Mapping[str, Label]: ...

    @property
    def items(self) -> Sequence[str]: ...


@dataclass
class StudentLearner(Learner):
    """``rate`` of all parts, the backbone's 0 for ``frozen_steps``. Every ``cosines_every`` steps gradients are compared."""

    model: StudentModel
    loss_settings: LossSettings
    rate: float
    frozen_steps: int = 0
    cosines_every: int | None = None

    def groups(self) -> list[Group]:
        """The backbone, and all else."""
        others = [parameter for name, parameter in self.model.named_parameters() if not name.startswith("backbone.")]
        return [Group(list(self.model.backbone.parameters()), self.rate, self.frozen_steps), Group(others, self.rate)]

    def losses(self, model: nn.Module, batch: LabelledPanoramas, generator: torch.Generator) -> dict[str, Tensor]:
        """As :func:`models.student.losses.student_losses`; ValueError names the panoramas whose labels it refuses."""
        device = self.model.device
        labels = {task: label.to(device) for task, label in batch.labels.items()}
        output = model(batch.images.to(device, non_blocking=True).float() / 255)
        try:
            with torch.autocast(device.type, enabled=False):  # differences of labels need all their digits
                return student_losses(output, labels, self.loss_settings)
        except ValueError as error:  # tells which item of the batch, not its name
            raise ValueError(f"panoramas {', '.join(batch.items)}: {error}") from error

    def figures(self, step: int, terms: Mapping[str, Tensor]) -> dict[str, float]:
        """How far the gradients of tasks agree, in the steps in which that is asked for."""
        if self.cosines_every is None or step % self.cosines_every:
            return {}
        found = gradient_cosines(self.model, task_losses(terms))
        return {f"cosines.{name}": value for name, value in found.items()}
