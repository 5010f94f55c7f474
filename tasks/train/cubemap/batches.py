"""Labelled panoramas as the six faces that a cubemap network sees."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from geometry.cameras import Camera
from geometry.resampling.patches import extract_nearest, extract_patches
from models.cubemap.configuration import CubemapConfig, Scene, face_cameras
from models.cubemap.learner import LabelledFaces
from models.cubemap.losses import Truth
from models.cubemap.outputs import ray_lengths
from models.cubemap.router import scene_by_sky
from models.student.labels import Label, check_label
from tasks.train.labels.data import Batch, TrainingData

CHECKED = {"depth": 1, "normals": 3}
"""Tasks whose labels may be damaged, and their channels; sky is yes or no."""


@dataclass(frozen=True)
class Faces:
    """The batches of ``data`` for a network of this config; ``scene`` is that of all panoramas, or None to tell it by the sky."""

    data: TrainingData
    config: CubemapConfig
    scene: Scene | None = None

    def batches(self, epoch: int, step: int, rank: int, world: int) -> Iterator[LabelledFaces]:
        """As those of the data; ValueError names the panoramas whose labels teach nonsense."""
        for batch in self.data.batches(epoch, step, rank, world):
            yield faces_of(batch, self.config, self.scene)


def faces_of(batch: Batch, config: CubemapConfig, scene: Scene | None = None) -> LabelledFaces:
    """A batch of panoramas cut into faces: pixels mixed, as for prediction, labels not."""
    _check(batch)
    cameras, labels = face_cameras(config), batch.labels
    faces = [extract_patches(np.ascontiguousarray(image), cameras, antialias=False) for image in _channels_last(batch.images)]
    shape = (len(faces), len(cameras), config.face_size, config.face_size)
    log_depth, weight = torch.zeros(shape), torch.zeros(shape)
    if "depth" in labels:
        distance, weight = _cut(labels["depth"], cameras)
        lengths = torch.from_numpy(np.stack([ray_lengths(camera, config.conventions) for camera in cameras]))
        log_depth = torch.where(weight > 0, distance[:, :, 0] / lengths, 1).log()
    normals, normals_weight = _cut(labels["normals"], cameras) if "normals" in labels else (None, None)
    sky, sky_weight = _cut(labels["sky"], cameras) if "sky" in labels else (None, None)
    sky = None if sky is None else sky[:, :, 0]
    truth = Truth(log_depth, weight, _outdoor(shape, sky, cameras, scene), normals, sky, normals_weight, sky_weight)
    return LabelledFaces(torch.from_numpy(np.stack(faces)), truth, batch.items)


def _check(batch: Batch) -> None:
    try:
        for task, channels in CHECKED.items():
            if task in batch.labels:
                check_label(task, batch.labels[task], channels, tuple(batch.images.shape[-2:]))
    except ValueError as error:  # tells which item of the batch, not its name
        raise ValueError(f"panoramas {', '.join(batch.items)}: {error}") from error


def _cut(label: Label, cameras: Sequence[Camera]) -> tuple[Tensor, Tensor]:
    """Values (B, S, C, h, w), zero where they do not count, and weights (B, S, h, w)."""
    maps = torch.cat([torch.where(label.valid, label.value, 0).float(), label.weight()], dim=1)
    cut = np.stack([extract_nearest(np.ascontiguousarray(one), cameras) for one in _channels_last(maps)])
    found = torch.from_numpy(np.ascontiguousarray(np.moveaxis(cut, -1, 2)))
    return found[:, :, :-1], found[:, :, -1]


def _outdoor(shape: tuple[int, ...], sky: Tensor | None, cameras: Sequence[Camera], scene: Scene | None) -> Tensor:
    """(B,) bool: whether the scale head of outdoor scenes learns from a panorama, as prediction would choose it."""
    if scene is not None or sky is None:
        return torch.full(shape[:1], scene == "outdoor")
    return torch.tensor([scene_by_sky(one, cameras) == "outdoor" for one in sky.numpy()])


def _channels_last(maps: Tensor) -> NDArray[Any]:
    found: NDArray[Any] = maps.permute(0, 2, 3, 1).numpy()
    return found
