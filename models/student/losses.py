"""What the student is trained to: the losses of MTPano's description, masked, weighted, and in stated units.

With w the weight of a pixel (confidence where valid, times its area on the sphere), every term is a weighted mean
<e> = sum w e / sum w, or zero if nothing is valid. Distances are divided by ``depth_unit``, and vectors by the chord of
``normals_unit_degrees``, so that a term of one means an error of that size whatever the labels' unit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from math import degrees, radians, sin
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional

from geometry.directions import erp_area_weights
from models.student.labels import Label, check_label
from models.student.modeling import StudentOutput
from models.student.sphere import pad_sphere, resize_sphere
from models.student.tasks import MAIN_TASKS

PHASE_FLOOR = 1e-2
"""Share of the label's root mean square amplitude, of one item and channel, above which a phase means something."""


@dataclass(frozen=True)
class LossSettings:
    """Weights and units; the defaults are those of the description, but for those that are told here.

    ``area_weighted`` counts each pixel by its solid angle; the description counts pixels. ``depth_unit`` in the labels' unit;
    the chord of 60 degrees is one. ``edge_threshold`` is of an unnormalised Sobel filter of the labels in these units.
    ``frequency_radius`` is a share of the image's height: 64 of 512. ``depth_max``, in the labels' unit, cuts distances and
    points; the description cuts metres at 10, which streets and labels without a scale do not bear.

    ``normals_distance`` ``l1`` is the description's mean absolute difference of components. It depends on how a room is turned,
    and the opposite of a normal along an axis is a local minimum of it, where a student stays; the length of the ``chord`` has
    neither fault.
    """

    depth: float = 1.0
    normals: float = 1.0
    semantics: float = 1.0
    preliminary: float = 0.3
    auxiliary: float = 0.003
    dice: float = 1.0
    depth_edge: float = 0.5
    depth_frequency: float = 5e-3
    normals_edge: float = 0.1
    normals_frequency: float = 1e-4
    depth_unit: float = 1.0
    normals_distance: Literal["chord", "l1"] = "chord"
    normals_unit_degrees: float = 60.0
    depth_max: float | None = None
    edge_threshold: float = 0.55
    edge_width: int = 7
    frequency_radius: float = 1 / 8
    area_weighted: bool = True

    @property
    def normals_unit(self) -> float:
        """Length of the chord."""
        return 2 * sin(radians(self.normals_unit_degrees) / 2)


def student_losses(
    output: StudentOutput, labels: Mapping[str, Label], settings: LossSettings = LossSettings()
) -> dict[str, Tensor]:
    """All terms of the loss, weighted: their sum is what to minimise.

    Parameters
    ----------
    output : StudentOutput
    labels : task -> Label
        At the size of the images, in the frame of the output. Tasks without labels get no loss.
    settings : LossSettings

    Returns
    -------
    term -> scalar float32
        ``depth``, ``depth.edge``, ``depth.frequency``, ``normals``, ..., ``semantics``, ``semantics.dice``, and
        ``preliminary.<task>`` for all tasks.

    Raises
    ------
    ValueError
        Labels that :func:`models.student.labels.check_label` refuses.
    """
    preliminary = output.preliminary or {}
    size = next(tuple(output[task].shape[-2:]) for task in MAIN_TASKS if output.get(task) is not None)
    terms: dict[str, Tensor] = {}
    for task, label in labels.items():
        final, early = output.get(task), preliminary.get(task)
        answer: Any = early if final is None else final
        if answer is not None:
            check_label(task, label, answer.shape[1], size)
            terms |= _task_terms(task, final, early, label, settings)
    return terms


def _task_terms(task: str, final: Any, early: Any, label: Label, settings: LossSettings) -> dict[str, Tensor]:
    """Terms of the final answer (B, C, H, W) and of the preliminary one (B, C, h, w), as far as they are there."""
    scaled, unit = _in_units(task, label.clean(), settings)
    weight = _pixel_weight(label, settings)
    terms = {} if final is None else _final_terms(task, final.float() / unit, scaled, weight, settings)
    if early is not None:
        share = settings.auxiliary if final is None else getattr(settings, task) * settings.preliminary
        coarse = resize_sphere(early.float() / unit, weight.shape[-2])
        terms[f"preliminary.{task}"] = share * weighted_mean(_error(task, coarse, scaled, settings), weight)
    return terms


def _final_terms(task: str, answer: Tensor, label: Label, weight: Tensor, settings: LossSettings) -> dict[str, Tensor]:
    error = _error(task, answer, label, settings)
    terms = {task: weighted_mean(error, weight)}
    if task == "semantics":
        terms["semantics.dice"] = settings.dice * dice_loss(answer, label.value[:, 0], weight)
    else:
        band = edge_band(label, settings.edge_threshold, settings.edge_width)
        radius = settings.frequency_radius * answer.shape[-2]
        terms[f"{task}.edge"] = getattr(settings, f"{task}_edge") * edge_loss(error, weight, band)
        terms[f"{task}.frequency"] = getattr(settings, f"{task}_frequency") * frequency_loss(answer, label, radius)
    return {name: getattr(settings, task) * term for name, term in terms.items()}


def _in_units(task: str, label: Label, settings: LossSettings) -> tuple[Label, float]:
    """The label in the unit that the loss counts in, and what the student's answer must be divided by to be in it too.

    Image gradients are told per degree, and edge distances as log(1 + degrees), by the student itself.
    """
    unit = {"depth": settings.depth_unit, "points": settings.depth_unit, "normals": settings.normals_unit}.get(task, 1.0)
    if task == "semantics":
        return replace(label, value=label.value.long()), unit
    value = label.value.float()
    if task == "depth" and settings.depth_max is not None:
        value = value.clamp(max=settings.depth_max)
    if task == "points" and settings.depth_max is not None:
        value = value * (settings.depth_max / value.norm(dim=1, keepdim=True).clamp_min(settings.depth_max))
    if task == "image_gradient":
        value = value * radians(1)
    if task == "edge_distance":
        value = torch.log1p(value * degrees(1))
    return replace(label, value=value / unit), unit


def _pixel_weight(label: Label, settings: LossSettings) -> Tensor:
    weight = label.weight()
    return weight * _area(weight.shape[-2], weight.device) if settings.area_weighted else weight


@lru_cache(maxsize=8)
def _area(height: int, device: torch.device) -> Tensor:
    with torch.inference_mode(False):
        return torch.from_numpy(erp_area_weights(height)).float().to(device)[:, None]


def _error(task: str, answer: Tensor, label: Label, settings: LossSettings) -> Tensor:
    """(B, 1, H, W): cross-entropy of logits, the chord between normals, or the mean over channels of absolute differences."""
    if task == "semantics":
        return functional.cross_entropy(answer, label.value[:, 0], reduction="none")[:, None]
    if task == "normals" and settings.normals_distance == "chord":
        return torch.linalg.vector_norm(answer - label.value, dim=1, keepdim=True)
    return (answer - label.value).abs().mean(1, keepdim=True)


def weighted_mean(error: Tensor, weight: Tensor) -> Tensor:
    """sum w e / sum w over all pixels; zero, with zero gradient, if no pixel counts.

    ``error`` where ``weight`` is zero takes no part, whatever it is.
    """
    total = weight.sum()
    return torch.where(weight > 0, weight * error, 0).sum() / torch.where(total > 0, total, 1)


def dice_loss(logits: Tensor, classes: Tensor, weight: Tensor) -> Tensor:
    """1 - mean over the classes c that occur of 2 sum w p_c y_c / (sum w p_c + sum w y_c), sums over the batch.

    Parameters
    ----------
    logits : (B, classes, H, W)
    classes : (B, H, W) int64
    weight : (B, 1, H, W)
    """
    probability = logits.softmax(1)
    labelled = classes.flatten()
    there = weight.new_zeros(logits.shape[1]).index_add(0, labelled, weight.flatten())
    right = (weight * probability.gather(1, classes[:, None])).flatten()
    both = right.new_zeros(logits.shape[1]).index_add(0, labelled, right)
    said = torch.einsum("bhw,bchw->c", weight[:, 0], probability)
    occurs = there > 0
    score = torch.where(occurs, 2 * both / torch.where(occurs, said + there, 1), 0)
    return torch.where(occurs.any(), 1 - score.sum() / occurs.sum().clamp_min(1), score.sum() * 0)


def edge_band(label: Label, threshold: float, width: int) -> Tensor:
    """(B, 1, H, W) bool: within ``width`` / 2 pixels of where the Sobel filter of the label exceeds the threshold.

    Pixels with an invalid neighbour have no slope: the rim of a hole is no edge.
    """
    value = label.value
    padded = pad_sphere(value, 1, 1)
    across, down = padded[..., 2:] - padded[..., :-2], padded[..., 2:, :] - padded[..., :-2, :]
    slopes = (
        across[..., :-2, :] + 2 * across[..., 1:-1, :] + across[..., 2:, :],
        down[..., :-2] + 2 * down[..., 1:-1] + down[..., 2:],
    )
    steep = (slopes[0].square() + slopes[1].square()).sum(1, keepdim=True).sqrt() > threshold
    holes = functional.max_pool2d(pad_sphere((~label.valid).float(), 1, 1), 3, stride=1) > 0
    edges = (steep & ~holes).float()
    return functional.max_pool2d(pad_sphere(edges, width // 2, width // 2), width, stride=1) > 0


def edge_loss(error: Tensor, weight: Tensor, band: Tensor) -> Tensor:
    """0.95 <e> inside the band + 0.05 <e> outside."""
    return 0.95 * weighted_mean(error, weight * band) + 0.05 * weighted_mean(error, weight * ~band)


def frequency_loss(answer: Tensor, label: Label, radius: float) -> Tensor:
    """Mean over frequencies k with abs(k) >= radius, channels and items of abs(abs(P) - abs(T)) / 5 + abs(arg(P conj(T))).

    P and T are orthonormal Fourier transforms of answer and label, both zero where the label is not valid. Phases are compared
    where both amplitudes exceed ``PHASE_FLOOR`` of the label's: a phase's gradient is one over the amplitude, and below it noise.
    """
    said = torch.fft.fft2(torch.where(label.valid, answer, 0), norm="ortho")
    true = torch.fft.fft2(label.value, norm="ortho")
    rows, columns = (torch.fft.fftfreq(size, 1 / size, device=answer.device) for size in answer.shape[-2:])
    high = torch.hypot(rows[:, None], columns) >= radius
    said, true = said[..., high], true[..., high]
    floor = PHASE_FLOOR * true.abs().square().mean(-1, keepdim=True).sqrt()
    there = torch.minimum(said.abs(), true.abs()) > floor
    phase = torch.where(there, said * true.conj(), 1).angle().abs()
    return ((said.abs() - true.abs()).abs() / 5 + phase).mean()
