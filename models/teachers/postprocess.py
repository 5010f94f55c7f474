"""A network's output tensors -> fields at the patches' own resolution.

Functions whose names end in ``_tensors`` give fields whose arrays are tensors, on the network's own device; :func:`as_arrays`
brings them to the CPU, which ``*_field`` do at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch.nn.functional import interpolate

from geometry.fields import Field, concatenate
from geometry.fusion.sky import sky_class

RUNNERS_UP = 3
"""Classes kept per pixel: later stages vote over these instead of carrying all scores through warps."""
NEAREST = 1e-3
"""Metres: distances below are taken for this much where they are inverted."""
NEAREST_SHARE = 1e-6
"""Of a view's median, where distances have no scale: a sky that a network puts far away must not hide what is near."""


def resize(values: torch.Tensor, size: tuple[int, int], corners: bool = False) -> torch.Tensor:
    """(N, C, H, W) to (N, C, h, w), bilinear; smaller sizes are averaged into, not skipped through.

    With ``corners`` the centres of the outermost pixels stay where they are, as in an input that was made so.
    """
    if tuple(values.shape[-2:]) == size:
        return values
    if corners:
        return interpolate(values, size, mode="bilinear", align_corners=True)
    # Enlarging, the antialiasing filter is the same as none, at five times the price.
    shrinks = values.shape[-2] > size[0] or values.shape[-1] > size[1]
    return interpolate(values, size, mode="bilinear", align_corners=False, antialias=shrinks)


def as_arrays(fields: Mapping[str, Any]) -> dict[str, Field]:
    """Fields of tensors as fields of numpy arrays; those of arrays as they are."""
    return {name: one if isinstance(one.valid, np.ndarray) else _as_arrays(one) for name, one in fields.items()}


def _as_arrays(one: Any) -> Field:
    confidence = None if one.confidence is None else one.confidence.cpu().numpy()
    return replace(one, values=one.values.cpu().numpy(), valid=one.valid.cpu().numpy(), confidence=confidence)


def depth_field(*arguments: Any, **named: Any) -> Field:
    """What :func:`depth_tensors` gives, as arrays."""
    return _as_arrays(depth_tensors(*arguments, **named))


def normals_field(values: torch.Tensor, size: tuple[int, int], axes: str) -> Field:
    """What :func:`normals_tensors` gives, as arrays."""
    return _as_arrays(normals_tensors(values, size, axes))


def semantic_fields(*arguments: Any, **named: Any) -> dict[str, Field]:
    """What :func:`semantic_tensors` gives, as arrays."""
    return as_arrays(semantic_tensors(*arguments, **named))


def depth_tensors(
    values: torch.Tensor,
    size: tuple[int, int],
    unit: str,
    frame: str = "axis",
    depth_max: float | None = None,
    border: tuple[int, int] = (0, 0),
    corners: bool = False,
) -> Any:
    """A depth field of (h, w) from a network's depths.

    Parameters
    ----------
    values : (N, H, W) or (N, 1, H, W) tensor
    size : (h, w)
    depth_max : float, optional
        Depths from here on are invalid.
    border : (rows, columns)
        Of the patch's pixels that were added on each side of the input, and are cut off again.
    corners : bool
        See :func:`resize`.
    """
    values = values.float().reshape(len(values), 1, *values.shape[-2:])
    usable = torch.isfinite(values) & ((values > 0) | (unit == "inverse"))
    # What is near depends on the scale, which is any: the views' own medians stand for a metre.
    scale = _medians(values, usable) if unit == "scale" else values.new_ones(1, 1, 1, 1)
    # The inverse distance of a plane is linear in the image, so interpolating that keeps planes flat.
    nearest = NEAREST_SHARE if unit == "scale" else NEAREST
    linear = values if unit == "inverse" else 1 / (values / scale).clamp(min=nearest)
    linear = _resize_and_crop(torch.where(usable, linear, 0), size, border, corners)
    depth = linear if unit == "inverse" else scale[:, 0] / linear.clamp(min=1e-9)
    # A pixel is as good as all that flowed into it.
    valid = _resize_and_crop(usable.float(), size, border, corners) > 0.999
    if depth_max is not None:
        valid = valid & (depth < depth_max)
    return _field("depth", torch.where(valid, depth, 0), valid, unit, frame)


def _field(name: str, values: Any, valid: Any, unit: str, frame: str = "-", confidence: Any = None) -> Any:
    """A field of tensors, which is one by all that it says."""
    return Field(name, values, valid, unit, frame, confidence)


def _medians(values: torch.Tensor, usable: torch.Tensor) -> torch.Tensor:
    """(N, 1, 1, 1), of the usable values of each view; 1 where there is none."""
    of_views = [one[here].median() if bool(here.any()) else one.new_tensor(1.0) for one, here in zip(values, usable)]
    return torch.stack(of_views).reshape(-1, 1, 1, 1)


def _resize_and_crop(values: torch.Tensor, size: tuple[int, int], border: tuple[int, int], corners: bool) -> torch.Tensor:
    (height, width), (rows, columns) = size, border
    whole = resize(values, (height + 2 * rows, width + 2 * columns), corners)
    return whole[:, 0, rows : rows + height, columns : columns + width]


def normals_tensors(values: torch.Tensor, size: tuple[int, int], axes: str) -> Any:
    """Unit normals (N, h, w, 3) in the camera frame from a network's (N, 3, H, W) of any length.

    ``axes`` says where the network's channels point: see ``TeacherModel.normals_axes``.
    """
    vectors = _unit(resize(_unit(values.float()), size))
    # Opposite neighbours cancel, and a network may say nothing, or no number: none of it leaves a direction.
    valid = _lengths(vectors) > 0.5
    camera = vectors.new_empty((*valid.shape, 3))
    for channel in range(3):
        sign = -1 if axes[2 * channel] == "-" else 1
        camera[..., "xyz".index(axes[2 * channel + 1])] = torch.where(valid, sign * vectors[:, channel], 0)
    return _field("normals", camera, valid, "unit", "camera")


def _unit(vectors: torch.Tensor) -> torch.Tensor:
    """Vectors (N, 3, h, w) at length 1; those of no length stay."""
    return vectors / _lengths(vectors).clamp(min=1e-12)[:, None]


def _lengths(vectors: torch.Tensor) -> torch.Tensor:
    """Lengths (N, h, w) of vectors (N, 3, h, w)."""
    if vectors.device.type != "cpu":
        return vectors.norm(dim=1)
    # The same to the last bit, in a tenth of the time; torch.sqrt of float32 is not always the nearest number, as norm's is.
    x, y, z = vectors.unbind(1)
    return (x * x + y * y + z * z).double().sqrt().float()


def semantic_names(classes: Sequence[str]) -> tuple[str, ...]:
    """Names of the fields that class scores give: semantics, and sky where the vocabulary has it."""
    return ("semantics", "sky") if sky_class(classes) is not None else ("semantics",)


def semantic_tensors(
    scores: Iterable[torch.Tensor], classes: Sequence[str], size: tuple[int, int], probability: Callable = torch.softmax
) -> dict[str, Any]:
    """Semantics (best classes first, with their probabilities), and sky, of N patches.

    Parameters
    ----------
    scores : N tensors (C, H, W)
        Taken one by one, as all classes of all patches at full size would not fit.
    probability : function of (scores, dim)
        From scores to probabilities.

    Raises
    ------
    ValueError
        There are more or fewer scores than classes.
    """
    best, confidence, sky, valid = [], [], [], []
    index = sky_class(classes)
    for one in scores:
        if len(one) != len(classes):
            raise ValueError(f"classes: {len(classes)} are named, but the network scores {len(one)}; name each of them, in order")
        shares = probability(resize(one[None].float(), size), dim=1)[0]
        top = shares.topk(min(RUNNERS_UP, len(shares)), dim=0)
        best.append(top.indices.permute(1, 2, 0).to(torch.uint16).view(torch.int16))  # torch does little with uint16 but hold it
        confidence.append(top.values.permute(1, 2, 0))
        valid.append(torch.isfinite(confidence[-1]).all(dim=-1) & (confidence[-1][..., 0] > 0))
        if index is not None:
            sky.append(shares[index].clamp(0, 1))
    told = torch.stack(valid)
    sure = torch.where(told[..., None], torch.stack(confidence), 0)
    fields = {"semantics": _field("semantics", torch.stack(best).view(torch.uint16), told, "class", confidence=sure)}
    if index is not None:
        fields["sky"] = _field("sky", torch.where(told, torch.stack(sky), 0), told, "probability")
    return fields


def share(scores: torch.Tensor, dim: int) -> torch.Tensor:
    """Scores that are not negative, as shares of their sum; zero where all are zero."""
    return scores / scores.sum(dim=dim, keepdim=True).clamp(min=1e-9)


def join(parts: Sequence[dict[str, Field]]) -> dict[str, Field]:
    """Fields of batches, one after the other."""
    return {name: concatenate([part[name] for part in parts]) for name in parts[0]}
