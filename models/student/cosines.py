"""Do tasks pull the same way? Cosines between the gradients of tasks, for the parts of the network that they share."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations

import torch
from torch import Tensor, nn

PARTS = ("backbone", "streams.invariant", "streams.variant")


def task_losses(terms: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The terms of :func:`models.student.losses.student_losses` summed by task: ``depth.edge`` counts as depth, and so on."""
    losses: dict[str, Tensor] = {}
    for name, term in terms.items():
        task = name.removeprefix("preliminary.").split(".")[0]
        losses[task] = losses[task] + term if task in losses else term
    return losses


def gradient_cosines(model: nn.Module, losses: Mapping[str, Tensor]) -> dict[str, float]:
    """cos(g_a, g_b) of every two tasks, for every part of the network whose parameters both reach.

    Parameters
    ----------
    model : StudentModel
    losses : task -> scalar
        Their graph is kept, so that the step can go on. Costs one backward pass a task.

    Returns
    -------
    dict
        ``<part>/<task>~<task>`` -> cosine in [-1, 1], tasks in alphabetical order. Negative: the tasks work against each other.
    """
    shared = {name: p for name, p in model.named_parameters() if name.startswith(tuple(f"{part}." for part in PARTS))}
    gradients = {task: _gradients(loss, shared) for task, loss in losses.items()}
    cosines = {}
    for one, other in combinations(sorted(losses), 2):
        for part in PARTS:
            ours, theirs = (gradients[task].get(part, torch.zeros(1)) for task in (one, other))
            if ours.any() and theirs.any():
                cosines[f"{part}/{one}~{other}"] = float(torch.nn.functional.cosine_similarity(ours, theirs, dim=0))
    return cosines


def _gradients(loss: Tensor, parameters: Mapping[str, nn.Parameter]) -> dict[str, Tensor]:
    """The gradient of each part, as one vector; zero where the loss does not reach."""
    found = torch.autograd.grad(loss, list(parameters.values()), retain_graph=True, allow_unused=True)
    parts: dict[str, list[Tensor]] = {}
    for (name, parameter), gradient in zip(parameters.items(), found, strict=True):
        part = next(part for part in PARTS if name.startswith(f"{part}."))
        parts.setdefault(part, []).append((torch.zeros_like(parameter) if gradient is None else gradient).flatten().float())
    return {part: torch.cat(vectors) for part, vectors in parts.items()}
