"""A teacher looks at the views of a panorama, and what it says stays on its device: as tensors, in its own frames.

What is asked of it, and what makes an item bad, is what :mod:`tasks.label.teachers.looking` says of arrays. Frames and rounding
are left to who reads the fields (:mod:`geometry.device`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from geometry.device.fields import DeviceField, as_said, cut, plain
from geometry.spheres import View
from models.teachers import CannotLabel
from tasks.ingest.observed import Observed
from tasks.label.teachers.looking import LESS, Patches, lacking, refuse_shape, refuse_unnamed, that_fits
from tasks.stage.job import BadItem

CANONICAL = {"depth": "ray", "normals": "world"}
"""Frames of fields once they are canonical, as receipts name them."""


def look_on_device(teacher: Any, patches: Patches, wanted: tuple[str, ...], batch_size: int | None) -> dict[str, DeviceField]:
    """All wanted fields of one panorama's patches. Raises what :func:`tasks.label.teachers.looking.look_at_observed` raises."""
    observed = patches.observed
    shown: NDArray[np.bool_] = np.ones(len(patches.cameras), bool) if observed is None else np.any(observed, axis=(1, 2))
    if not shown.any():
        raise BadItem("no view shows a pixel that was photographed: too little of the sphere was")
    cameras = tuple(camera for camera, there in zip(patches.cameras, shown, strict=True) if there)
    pixels = patches.pixels if shown.all() else patches.pixels[shown]
    step = batch_size or len(cameras)
    sizes = (step,) if batch_size is None else (step, max(1, step // 2))
    parts = that_fits(partial(_look_in_batches, teacher, pixels, cameras, wanted), sizes, LESS[batch_size is None])
    fields = {name: as_said(_together([part[name] for part in parts])) for name in wanted}
    for name, field in fields.items():
        if not bool(said_validly(field).any()):
            raise BadItem(f"the teacher's {name} has no valid pixel in any view (not finite, or all sky)")
    return fields if observed is None else _where_observed(fields, shown, observed)


def _look_in_batches(
    teacher: Any, pixels: NDArray[np.uint8], cameras: tuple[View, ...], wanted: tuple[str, ...], batch_size: int
) -> list[dict[str, Any]]:
    parts: list[dict[str, Any]] = []
    for start in range(0, len(cameras), batch_size):
        some = cameras[start : start + batch_size]
        try:
            answers = teacher.on_device(pixels[start : start + batch_size], some)
        except CannotLabel as error:
            raise BadItem(str(error)) from error
        for answer in answers:
            said = {name: answer[name] for name in wanted if name in answer}
            lacking(wanted, said, answer)
            parts.append(said)
        for name in wanted:
            _check(name, parts[-len(answers) :], some, teacher.classes)
    return parts


def _check(name: str, parts: Sequence[Mapping[str, Any]], cameras: Sequence[View], classes: Sequence[str]) -> None:
    """What ``check_said`` holds a field of arrays against."""
    shapes = [tuple(part[name].values.shape) for part in parts]
    refuse_shape(name, (sum(shape[0] for shape in shapes), *shapes[0][1:]), cameras)
    if name == "semantics" and classes:
        most = [torch.where(part[name].valid[..., None], part[name].values.to(torch.int32), -1).amax() for part in parts]
        refuse_unnamed(name, int(torch.stack(most).amax()), classes)


def _together(parts: Sequence[Any]) -> Any:
    """One field over the patches of all parts."""
    if len(parts) == 1:
        return parts[0]
    confidence = None if parts[0].confidence is None else torch.cat([part.confidence for part in parts])
    values, valid = torch.cat([plain(part.values) for part in parts]), torch.cat([part.valid for part in parts])
    return replace(parts[0], values=values.view(parts[0].values.dtype), valid=valid, confidence=confidence)


def said_validly(field: DeviceField) -> torch.Tensor:
    """Where (N, h, w) a field is valid once it is canonical."""
    valid = field.valid.view(torch.bool)
    if field.name == "depth":
        usable = torch.isfinite(field.values)
        return valid & usable if field.unit == "inverse" else valid & usable & (field.values > 0)
    if field.name == "normals":
        length = field.values.norm(dim=-1)
        return valid & torch.isfinite(length) & (length > 1e-6)
    return valid


def _where_observed(
    fields: Mapping[str, DeviceField], shown: NDArray[np.bool_], observed: NDArray[np.bool_]
) -> dict[str, DeviceField]:
    """The fields over all views, valid only where their patches show what was photographed."""
    device = next(iter(fields.values())).valid.device
    keep, there = torch.from_numpy(observed.view(np.uint8)).to(device), torch.from_numpy(np.flatnonzero(shown)).to(device)
    cut_fields = {name: cut(_spread(field, there, len(shown)), keep) for name, field in fields.items()}
    for name, field in cut_fields.items():
        if not bool(said_validly(field).any()):
            raise BadItem(f"the teacher's {name} has no valid pixel where the panorama was photographed")
    return cut_fields


def _spread(field: DeviceField, there: torch.Tensor, count: int) -> DeviceField:
    """The field over ``count`` views, of one over those that are ``there``: others say nothing."""
    if len(there) == count:
        return field

    def among(values: torch.Tensor) -> torch.Tensor:
        whole = torch.zeros((count, *values.shape[1:]), dtype=plain(values).dtype, device=values.device)
        whole[there] = plain(values)
        return whole.view(values.dtype)

    confidence = None if field.confidence is None else among(field.confidence)
    return replace(field, values=among(field.values), valid=among(field.valid), confidence=confidence)


def valid_share(field: DeviceField, observed: Observed) -> float:
    """Share of a field's pixels that are valid, of those that were photographed."""
    valid = said_validly(field)
    pixels = valid.numel() if observed is None else int(observed.sum())  # valid nowhere else
    return int(valid.sum()) / pixels
