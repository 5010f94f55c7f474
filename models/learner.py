"""What a network brings to the training loop: its losses, the rates of its parts, and what it keeps beside its weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Group:
    """Parameters that learn at one rate, the highest of a training, and stand still for the first ``frozen_steps``."""

    parameters: Sequence[nn.Parameter]
    rate: float
    frozen_steps: int = 0


class Learner(Protocol):
    """A network and how it learns.

    ``model`` is what learns: moved to a device, shared between processes, averaged, and kept in checkpoints as a whole. Several
    processes share gradients only of what its ``forward`` computes, so every term comes from a call of it.
    """

    model: nn.Module

    def groups(self) -> list[Group]:
        """All parameters that learn, by their rates."""
        ...

    def losses(self, model: nn.Module, batch: Any, generator: torch.Generator) -> dict[str, Tensor]:
        """Scalars by name, whose sum is to be made small.

        Parameters
        ----------
        model : Module
            ``self.model``, as it is or wrapped, or an average of its weights.
        batch
            What this network learns from; the loop looks at nothing of it.
        generator : torch.Generator
            On the CPU, seeded for the step, so that the same is drawn whatever the device.
        """
        ...

    def to(self, device: torch.device) -> None:
        """Move what learns, and what it is compared with."""
        self.model.to(device)

    def figures(self, step: int, terms: Mapping[str, Tensor]) -> dict[str, float]:
        """What else to tell of a step (counted from 1), before its backward pass; mostly nothing."""
        return {}

    def after_step(self) -> None:
        """What follows each step of the optimizer."""
        return

    def state(self) -> dict[str, Any]:
        """What a checkpoint needs beside the weights of ``model``: tensors and plain containers."""
        return {}

    def load(self, state: Mapping[str, Any]) -> None:
        """Go on from what :meth:`state` gave."""
        return
