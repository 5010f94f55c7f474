"""Labels as the losses take them: values, an explicit mask, and how far each is to be believed."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

UNIT_TOLERANCE = 0.05
"""Largest deviation of a normal's length from one: int8 storage stays well within."""


@dataclass(frozen=True)
class Label:
    """One task's labels for a batch.

    Parameters
    ----------
    value : (B, C, H, W) float, or (B, 1, H, W) integer for semantics
        As they are stored: distances and points in the student's unit, unit normals, image gradients per radian, edge distances
        in radians. Anything where not valid, NaN included.
    valid : (B, 1, H, W) bool
    confidence : (B, 1, H, W) float, optional
        Weight of each pixel, not negative; one everywhere if not given. Only ratios count.
    """

    value: Tensor
    valid: Tensor
    confidence: Tensor | None = None

    def weight(self) -> Tensor:
        """(B, 1, H, W) float: confidence where valid, zero elsewhere."""
        if self.confidence is None:
            return self.valid.float()
        return torch.where(self.valid, self.confidence, 0).float()

    def to(self, device: torch.device) -> Label:
        """The same on a device; from pinned memory without waiting."""
        value, valid = (part.to(device, non_blocking=True) for part in (self.value, self.valid))
        return Label(value, valid, None if self.confidence is None else self.confidence.to(device, non_blocking=True))

    def clean(self) -> Label:
        """The same with zeros where not valid, so that no arithmetic meets what lies there."""
        return replace(self, value=torch.where(self.valid, self.value, torch.zeros_like(self.value)))


def check_label(task: str, label: Label, channels: int, size: tuple[int, ...]) -> None:
    """Refuse labels that would teach nonsense.

    Parameters
    ----------
    task : str
    label : Label
    channels : int
        Of the student's answer; of semantics, the number of classes.
    size : (H, W)
        Of the images.

    Raises
    ------
    ValueError
        Shapes disagree, or valid pixels hold NaN or infinity, distances that are not positive, normals that are no unit vectors,
        classes that do not exist, or confidences that are negative or not finite. The message says how many, and in which item.
    """
    value, valid = label.value, label.valid
    expected = (1 if task == "semantics" else channels, *size)
    if value.shape[1:] != expected:
        raise ValueError(f"{task}: labels must be (B, {', '.join(map(str, expected))}), got {tuple(value.shape)}")
    if valid.dtype != torch.bool or valid.shape != (len(value), 1, *value.shape[-2:]):
        raise ValueError(f"{task}: valid must be bool (B, 1, H, W) beside values {tuple(value.shape)}, got {tuple(valid.shape)}")
    if task == "semantics":
        if value.is_floating_point():
            raise ValueError(f"{task}: class numbers must be integers, got {value.dtype}")
        _refuse(task, valid & ((value < 0) | (value >= channels)), valid, f"are not a class from 0 to {channels - 1}")
    else:
        _refuse(task, valid & ~value.isfinite().all(1, keepdim=True), valid, "are NaN or infinite")
    if task == "depth":
        _refuse(task, valid & (value <= 0), valid, "are not positive")
    if task == "edge_distance":
        _refuse(task, valid & (value < 0), valid, "are negative")
    if task == "normals":
        length = value.norm(dim=1, keepdim=True)
        _refuse(task, valid & ((length - 1).abs() > UNIT_TOLERANCE), valid, "are not unit vectors")
    if label.confidence is not None:
        bad = ~label.confidence.isfinite() | (label.confidence < 0)
        _refuse(task, valid & bad, valid, "have a confidence that is negative or not finite")


def _refuse(task: str, bad: Tensor, valid: Tensor, fault: str) -> None:
    counts = bad.flatten(1).sum(1)
    if counts.any():  # the only time the device is waited for
        item = int(counts.argmax())
        total = int(valid[item].sum())
        raise ValueError(
            f"{task} labels of item {item} of the batch: {int(counts[item])} of {total} valid pixels {fault}; "
            f"mark them invalid, or leave this panorama out"
        )
