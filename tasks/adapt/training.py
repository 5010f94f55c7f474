"""The training loop of an adaptation: steps, logs and checkpoints, the same whether it was interrupted or not.

It learns from crops, which do not close, so the network runs without its seam; the weights are the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState, GradientState
from torch import nn

from models.seamless.network import SeamlessNetwork, Target, blank_in
from models.seamless.saved import SeamlessModel
from models.seamless.semantic import SemanticNetwork
from tasks.adapt.additions import Additions
from tasks.adapt.examples import Examples
from tasks.adapt.settings import AdaptTraining
from tasks.train.checkpoints import load_checkpoint, save_checkpoint

MOST_LOGGED = 200
"""Steps that a training logs, spread evenly."""


class Diverged(RuntimeError):
    """The loss is no number any more. The checkpoints are from before."""


@dataclass
class Progress:
    """Where a training is: steps done, and the losses of the logged ones."""

    step: int = 0
    log: list[dict[str, float]] = field(default_factory=list)


def adapt_model(
    model: SeamlessModel, examples: Examples, settings: AdaptTraining, url: str, every: int, device: str
) -> tuple[SeamlessModel, Progress]:
    """Train a model on pseudo-labels, from its newest checkpoint on if there is one.

    Parameters
    ----------
    model : SeamlessModel, whose network is changed
    url : folder of the checkpoints
    every : steps between checkpoints
    device : torch device

    Returns
    -------
    The adapted model, and how it went

    Raises
    ------
    Diverged
        The loss is NaN or infinite.
    ValueError
        A part named in ``rates`` is not there.
    """
    run = _Run(model, settings, url, device)
    run.resume()
    while run.progress.step < settings.steps:
        run.step(examples)
        if run.progress.step % every == 0 or run.progress.step == settings.steps:
            run.save()
    return run.finish(), run.progress


class _Run:
    """State of one training and what is done to it."""

    def __init__(self, model: SeamlessModel, settings: AdaptTraining, url: str, device: str) -> None:
        self.settings, self.url, self.progress, self.model = settings, url, Progress(), model
        for shared in (AcceleratorState, GradientState):  # accelerate keeps them for a process; every training brings its own
            shared._reset_state()
        self.accelerator = Accelerator(mixed_precision=settings.precision, cpu=device == "cpu")
        network = model.network.for_crops(settings.ignore_uncertain)
        self.plain = network.to(self.accelerator.device)
        self.additions = Additions(self.plain, settings)
        optimizer = torch.optim.AdamW(rate_groups(network, settings), weight_decay=settings.weight_decay)
        self.initial = [group["lr"] for group in optimizer.param_groups]
        self.learner, self.optimizer = self.accelerator.prepare(_Learner(network), optimizer)

    def step(self, examples: Examples) -> None:
        """One step of the optimizer."""
        step = self.progress.step
        images, targets = examples.batch(step)
        for group, rate in zip(self.optimizer.param_groups, self.initial, strict=True):
            group["lr"] = rate * (1 - step / self.settings.steps) ** 0.9
        seed = int(np.random.SeedSequence([self.settings.seed, step]).generate_state(1)[0])
        torch.manual_seed(seed)
        generator = torch.Generator().manual_seed(seed)
        self.learner.train()
        with self.accelerator.autocast():
            pixels = self.model.normalised(images).to(self.accelerator.device)
            goals = [target.to(self.accelerator.device) for target in targets]
            terms = self.learner(pixels, goals, generator)
            terms |= self.additions.terms(self.plain, pixels, generator, blank_in(goals))
        total = torch.stack(list(terms.values())).sum()
        self._refuse([name for name, term in terms.items() if not term.isfinite()])
        self.optimizer.zero_grad()
        self.accelerator.backward(total)
        self.accelerator.clip_grad_norm_(self.learner.parameters(), self.settings.clip)
        self.optimizer.step()
        self.additions.follow(self.plain)
        self.progress.step += 1
        if step % max(self.settings.steps // MOST_LOGGED, 1) == 0:
            figures = {name: term.item() for name, term in {"total": total, **terms}.items()}
            self.progress.log.append({"step": step, **figures})

    def save(self) -> None:
        """Write a checkpoint of this moment."""
        state = {
            "model": self.plain.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "additions": self.additions.state(),
            "scaler": self.accelerator.scaler.state_dict() if self.accelerator.scaler else {},
            "progress": vars(self.progress),
        }
        save_checkpoint(self.url, self.progress.step, state, keep=1)

    def resume(self) -> None:
        """Go on from the newest checkpoint, if there is one."""
        state = load_checkpoint(self.url)
        if state is not None:
            self.plain.load_state_dict(state["model"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.additions.load(state.get("additions", {}))
            if self.accelerator.scaler:
                self.accelerator.scaler.load_state_dict(state["scaler"])
            self.progress = Progress(**state["progress"])

    def finish(self) -> SeamlessModel:
        """The model with its seam again."""
        self.model.network.load_state_dict(self.plain.state_dict())
        self.model.network.eval()
        return self.model

    def _refuse(self, bad: Sequence[str]) -> None:
        if bad:
            raise Diverged(
                f"step {self.progress.step + 1}: the loss is no number any more ({', '.join(bad)}); lower "
                "training.learning_rate or training.clip and run again"
            )


class _Learner(nn.Module):
    """The network's losses as a forward pass, which is what accelerate wraps."""

    def __init__(self, network: SeamlessNetwork | SemanticNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: torch.Tensor, targets: list[Target], generator: torch.Generator) -> dict[str, torch.Tensor]:
        """As :meth:`SeamlessNetwork.losses`."""
        return self.network.losses(images, targets, generator)


def rate_groups(network: nn.Module, settings: AdaptTraining) -> list[dict[str, Any]]:
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
    return [{"params": own, "lr": settings.learning_rate * share} for share, own in groups.items()]
