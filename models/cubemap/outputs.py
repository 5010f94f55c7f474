"""From a network's answers to distances in metres, unit normals in the world, and the probability of sky."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import normalize

from geometry.cameras import Camera
from geometry.fields import Field
from models.cubemap.configuration import Conventions, Scene
from models.cubemap.network import Said
from models.cubemap.scale import log_scale
from models.cubemap.skies import SkySettings, blended_sky

FloatArray = NDArray[np.float32]
AXES = {
    "right-down-forward": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "forward-up-left": ((0, 0, -1), (0, -1, 0), (1, 0, 0)),
    "forward-up-right": ((0, 0, 1), (0, -1, 0), (1, 0, 0)),
}
"""Rows: this project's right, down and forward, as sums of a convention's three channels."""


LEAST_CONFIDENCE = np.float32(1 / 255)
"""Of a distance that the network says: one step of what is stored."""


@dataclass(frozen=True, eq=False)
class Geometry:
    """One panorama as S views of h x w pixels; None for what the network has no head of.

    distance : (S, h, w) float32
        Along the ray of each pixel: in metres if ``metric``, else up to one factor for all views.
    confidence : (S, h, w) float32 in [0, 1)
        Of distance: 1 - 1 / what the network said. Neither a probability nor comparable between networks until calibrated.
    normals : (S, h, w, 3) float32, unit, world frame
    sky : (S, h, w) float32 in [0, 1]
        As :func:`models.cubemap.skies.blended_sky`: 0.5 where the network's probability is at the threshold.
    sky_probability : (S, h, w) float32
        As the network said it.
    notes
        ``log_scale`` and ``scale_spread`` (:func:`models.cubemap.scale.log_scale`), ``sky_share`` of the pixels.
    """

    distance: FloatArray | None = None
    confidence: FloatArray | None = None
    normals: FloatArray | None = None
    sky: FloatArray | None = None
    sky_probability: FloatArray | None = None
    metric: bool = False
    notes: Mapping[str, float] = field(default_factory=dict)


def compose(
    said: Said,
    cameras: Sequence[Camera],
    conventions: Conventions,
    scene: Scene | None = None,
    sky: SkySettings | None = None,
) -> Geometry:
    """What was said of one panorama, in units and in the world frame (PaGeR, arXiv 2605.26368).

    distance = s exp(clamp(log z)) / cos(off axis), with log s as :func:`models.cubemap.scale.log_scale`. Nothing is filled in:
    sky has the distance that the network said, until somebody reads ``sky``.

    Parameters
    ----------
    said : Said
        Of one panorama (B = 1).
    cameras : S cameras
        Those that the network was asked with.
    conventions : Conventions
        Those of the network.
    scene : "indoor" or "outdoor", optional
        Whose scale head to believe; without it depth stays up to one factor.
    sky : SkySettings, optional

    Raises
    ------
    ValueError
        More than one panorama, or a scene that no scale head was asked of.
    """
    notes: dict[str, float] = {}
    parts: dict[str, FloatArray] = {}
    if said.log_depth is not None and said.confidence is not None:
        factor = _factor(said, scene, notes)
        parts["distance"] = _array(distances(_one(said.log_depth), cameras, conventions) * np.exp(factor))
        parts["confidence"] = _array(1 - 1 / _one(said.confidence).float())
    if said.normals is not None:
        parts["normals"] = _array(world_normals(said.normals, cameras, conventions)[0].movedim(1, -1))
    if said.sky is not None:
        probability = _one(said.sky).float().sigmoid()
        settings = sky or SkySettings()
        parts["sky"] = _array(blended_sky(probability, settings))
        parts["sky_probability"] = _array(probability)
        notes["sky_share"] = float((probability > settings.threshold).float().mean())
    return Geometry(**parts, metric=scene is not None and "distance" in parts, notes=notes)


def distances(log_depth: Tensor, cameras: Sequence[Camera], conventions: Conventions) -> Tensor:
    """Log z (..., S, h, w) -> clamped distances along the rays, float32, up to the same factor."""
    nearest, farthest = np.log(conventions.nearest), np.log(conventions.farthest)
    lengths = np.stack([ray_lengths(camera, conventions) for camera in cameras])
    return log_depth.float().clamp(nearest, farthest).exp() * torch.from_numpy(lengths).to(log_depth.device)


def ray_lengths(camera: Camera, conventions: Conventions) -> FloatArray:
    """(h, w): distance over z of every pixel, by the convention's ``ray_length``."""
    if conventions.ray_length == "exact":
        return (1 / camera.rays()[..., 2]).astype(np.float32)
    x = 2 * np.arange(camera.width) / camera.width - 1
    y = 2 * np.arange(camera.height) / camera.height - 1
    return np.sqrt(1 + x**2 + y[:, None] ** 2).astype(np.float32)


def world_normals(normals: Tensor, cameras: Sequence[Camera], conventions: Conventions) -> Tensor:
    """Raw normals (B, S, 3, h, w) -> unit vectors, float32, right, down, forward in the world frame.

    The network knows cameras by how they are turned against the first one, so it speaks in that one's frame.
    """
    matrix = torch.from_numpy(cameras[0].matrix @ np.array(AXES[conventions.normal_axes], float)).float().to(normals.device)
    return normalize(torch.einsum("ij,bsjhw->bsihw", matrix, normals.float()), dim=2)


def fields(geometry: Geometry) -> dict[str, Field]:
    """What there is of ``depth``, ``normals`` and ``sky``, each with S views; see :mod:`geometry.fields`.

    Without metres depth has the unit ``shared``: the factor is one for all views. Each has the notes.
    """
    found: dict[str, Field] = {}
    if geometry.distance is not None:
        valid = np.isfinite(geometry.distance) & (geometry.distance > 0)
        unit = "metre" if geometry.metric else "shared"
        # A confidence of zero would mean that nothing was said; a network that is sure of nothing still says something.
        sure = None if geometry.confidence is None else np.maximum(geometry.confidence, LEAST_CONFIDENCE)
        found["depth"] = Field("depth", geometry.distance, valid, unit, "ray", sure)
    if geometry.normals is not None:
        told = np.isfinite(geometry.normals.sum(axis=-1))
        found["normals"] = Field("normals", geometry.normals, told, "unit", "world")
    if geometry.sky is not None:
        found["sky"] = Field("sky", geometry.sky, np.isfinite(geometry.sky), "probability")
    return {name: replace(one, notes=geometry.notes) for name, one in found.items()}


def _factor(said: Said, scene: Scene | None, notes: dict[str, float]) -> float:
    """log s of the scene's scale head, noted; 0 without a scene."""
    if scene is None:
        return 0.0
    if said.log_depth is None or scene not in (said.log_metric or {}):
        there = ", ".join(said.log_metric or {}) or "none"
        raise ValueError(
            f"scene: no scale head for {scene!r} was asked, only for: {there}; leave scene out for depth up to a factor"
        )
    assert said.log_metric is not None
    log_s, spread = log_scale(said.log_metric[scene], said.log_depth)
    notes |= {"log_scale": float(log_s), "scale_spread": float(spread)}
    return notes["log_scale"]


def _one(answers: Tensor) -> Tensor:
    if len(answers) != 1:
        raise ValueError(f"compose takes the answers to one panorama, got {len(answers)}; give it one after the other")
    return answers[0]


def _array(values: Tensor) -> FloatArray:
    return values.detach().float().cpu().numpy()
