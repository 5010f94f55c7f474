"""A teacher's fields on a device, in whatever form they are there: as it said them, as they are stored, or canonical."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from geometry.fields import Field

STORED_NORMALS, STORED_SKY = torch.float16, torch.float16


@dataclass(frozen=True, eq=False)
class DeviceField:
    """One dense field over N patches; shapes, units and frames are those of :class:`geometry.fields.Field`.

    Attributes
    ----------
    values : tensor
        Of any floating type; classes are uint16.
    valid : (N, h, w) uint8 tensor
    confidence : float32 tensor, or uint8 in 255 steps, or None
    factor : (N,) float32 tensor or None
        By which each view's depth is to be multiplied.
    said : bool
        The teacher's own words: not canonical yet, nor rounded to what is stored.
    """

    name: str
    values: torch.Tensor
    valid: torch.Tensor
    unit: str
    frame: str = "-"
    confidence: torch.Tensor | None = None
    factor: torch.Tensor | None = None
    said: bool = False


def upload(field: Field, device: str) -> DeviceField:
    """A canonical field of numpy arrays."""
    confidence = None if field.confidence is None else _upload(field.confidence, device)
    values = field.values if field.name == "semantics" else field.values.astype(np.float32, copy=False)
    return DeviceField(field.name, _upload(values, device), _upload(field.valid, device), field.unit, field.frame, confidence)


def upload_stored(name: str, arrays: Mapping[str, Any], tags: Mapping[str, str], device: str) -> DeviceField:
    """A field as it is stored (:mod:`tasks.label.arrays`), in the types of the store: half of the bytes of its values.

    Parameters
    ----------
    tags : its ``unit`` and ``frame``
    """
    found = {key: _upload(arrays[own], device) for key in ("confidence", "factor") if (own := f"{name}_{key}") in arrays}
    values, valid = _upload(arrays[name], device), _upload(arrays[f"{name}_valid"], device)
    return DeviceField(name, values, valid, tags["unit"], tags["frame"], found.get("confidence"), found.get("factor"))


def as_said(field: Any) -> DeviceField:
    """A teacher's field of tensors that lie on a device already."""
    confidence = field.confidence
    if confidence is not None and field.name != "semantics":  # those of classes are rounded as they are read
        confidence = _in_steps(confidence)
    values, valid = field.values.contiguous(), field.valid.view(torch.uint8)
    one = DeviceField(field.name, values, valid, field.unit, field.frame, confidence, said=True)
    return _sky_as_stored(one) if field.name == "sky" else one


def _in_steps(confidence: torch.Tensor) -> torch.Tensor:
    """Confidence of pixels in 255 steps, one at least where it is not zero."""
    steps = torch.nan_to_num(confidence.clamp(0, 1), nan=0.0).mul(255).round()
    return torch.maximum(steps, (confidence > 0).float()).to(torch.uint8)


def _sky_as_stored(sky: DeviceField) -> DeviceField:
    """Probabilities in float16; what is no number is not valid."""
    values = sky.values.to(STORED_SKY)
    told = torch.isfinite(values)
    return replace(sky, values=torch.where(told, values, 0), valid=sky.valid & told.view(torch.uint8), said=False)


def cut(field: DeviceField, keep: torch.Tensor) -> DeviceField:
    """The field, valid only where ``keep`` (N, h, w) uint8 is not zero."""
    return replace(field, valid=field.valid & keep)


def plain(tensor: torch.Tensor) -> torch.Tensor:
    """The same bits in a type that all of torch's functions take: it does little with uint16 but hold it."""
    return tensor.view(torch.int16) if tensor.dtype == torch.uint16 else tensor


def _upload(array: Any, device: str) -> torch.Tensor:
    """Through pinned memory where the device is a GPU, so that the copy does not hold up who asks for it."""
    array = np.ascontiguousarray(array)
    tensor = torch.from_numpy(array.view(np.uint8) if array.dtype == bool else array)
    return tensor.pin_memory().to(device, non_blocking=True) if device.startswith("cuda") else tensor
