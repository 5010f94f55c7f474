"""How a model adapts: from crops of pseudo-labels, with what the release adds to the loss.

Crops do not close, so the network runs without its seam; the weights are the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from models.learner import Group, Learner
from models.seamless.learner import Crops, Losses, on_device
from models.seamless.network import Target, blank_in
from models.seamless.saved import SeamlessModel
from tasks.adapt.additions import Additions
from tasks.adapt.settings import AdaptTraining


class _AdaptLosses(Losses):
    """The network's losses and the additions' terms."""

    additions: Additions

    def forward(self, images: Tensor, targets: list[Target], generator: torch.Generator) -> dict[str, Tensor]:
        terms = super().forward(images, targets, generator)
        return terms | self.additions.terms(self.network, images, generator, blank_in(targets))


@dataclass
class AdaptLearner(Learner):
    """``source`` is not changed: a copy of its network learns."""

    source: SeamlessModel
    settings: AdaptTraining

    def __post_init__(self) -> None:
        self.model = _AdaptLosses(self.source.network.for_crops(self.settings.ignore_uncertain))

    def groups(self) -> list[Group]:
        """Parameters by learning rate; ValueError if there are none in a part that ``rates`` names."""
        return rate_groups(self.model.network, self.settings)

    def losses(self, model: nn.Module, batch: Crops, generator: torch.Generator) -> dict[str, Tensor]:
        """As :meth:`SeamlessNetwork.losses` and :meth:`Additions.terms`."""
        device = next(self.model.parameters()).device
        terms: dict[str, Tensor] = model(*on_device(batch, self.source, device), generator)
        return terms

    def to(self, device: torch.device) -> None:
        """Move the network; the additions are copies of it as it is now."""
        self.model.to(device)
        self.model.additions = Additions(self.model.network, self.settings)

    def after_step(self) -> None:
        """As :meth:`Additions.follow`."""
        self.model.additions.follow(self.model.network)

    def state(self) -> dict[str, Any]:
        """As :meth:`Additions.state`."""
        return self.model.additions.state()

    def load(self, state: Mapping[str, Any]) -> None:
        """As :meth:`Additions.load`."""
        self.model.additions.load(dict(state))


def rate_groups(network: nn.Module, settings: AdaptTraining) -> list[Group]:
    """Parameters by learning rate: that of the deepest part along a parameter's name that ``rates`` names.

    Raises
    ------
    ValueError
        No parameter is in a part that ``rates`` names.
    """
    groups: dict[float, list[nn.Parameter]] = {}
    used: set[str] = set()
    for name, parameter in network.named_parameters():
        named = [part for part in name.split(".") if part in settings.rates]
        used |= set(named)
        groups.setdefault(settings.rates[named[-1]] if named else 1.0, []).append(parameter)
    if unknown := sorted(settings.rates.keys() - used):
        parts = sorted({name.split(".")[0] for name, _ in network.named_parameters()})
        raise ValueError(f"training.rates: the network has no part {unknown[0]!r}; it has {', '.join(parts)}, and parts of these")
    return [Group(own, settings.learning_rate * share) for share, own in groups.items()]
