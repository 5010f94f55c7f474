"""Training crops of labelled images that do not close."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from models.adaptation.targets import branch_target
from models.seamless.network import Target
from tasks.seamless.labels import SeamlessTruth
from tasks.seamless.vocabularies import IGNORED, THINGS

Pixels = NDArray[np.uint8]
Window = tuple[slice, slice]


def training_crop(
    image: Pixels, truth: SeamlessTruth, size: tuple[int, int], generator: np.random.Generator
) -> tuple[Pixels, Target]:
    """A window of that size (h, w) anywhere on an image (H, W, 3), mirrored or not, and what is learned of it.

    Notes
    -----
    A smaller image is continued below and to the right, black and unlabelled, which teaches nothing, not even background. Pixels
    that nobody labelled, and crowds, are uncertain, except to the amodal branch where a whole mask covers them. Of images without
    whole masks it is told nothing.
    """
    window = _window(image.shape[:2], size, generator)
    step = -1 if generator.random() < 0.5 else 1
    pixels, semantics = (_cut(given, window, size, step, fill) for given, fill in ((image, 0), (truth.semantics, IGNORED)))
    single = ~truth.crowd
    visible = _cut_masks(truth.visible[single], window, size, step)
    blank = _cut(np.zeros(image.shape[:2], np.uint8), window, size, step, 1) > 0
    void = semantics == IGNORED
    wholes = visible[:0] if truth.wholes is None else _cut_masks(truth.wholes[single], window, size, step)
    whole_classes = truth.classes[single][: len(wholes)]
    target = Target(
        torch.from_numpy(semantics.astype(np.int64)),
        branch_target(visible, truth.classes[single], void, THINGS.start, wrap=False, blank=blank),
        branch_target(wholes, whole_classes, void & ~wholes.any(axis=0), THINGS.start, wrap=False, blank=blank),
    )
    return pixels, target


def _window(have: tuple[int, ...], want: tuple[int, int], generator: np.random.Generator) -> Window:
    starts = [int(generator.integers(max(full - part, 0) + 1)) for full, part in zip(have, want)]
    return slice(starts[0], starts[0] + want[0]), slice(starts[1], starts[1] + want[1])


def _cut(given: Pixels, window: Window, size: tuple[int, int], step: int, fill: int) -> Pixels:
    part = given[window]
    whole = np.full((*size, *given.shape[2:]), fill, given.dtype)
    whole[: part.shape[0], : part.shape[1]] = part
    return np.ascontiguousarray(whole[:, ::step])


def _cut_masks(masks: NDArray[np.bool_], window: Window, size: tuple[int, int], step: int) -> NDArray[np.bool_]:
    part = masks[(slice(None), *window)]
    whole = np.zeros((len(masks), *size), bool)
    whole[:, : part.shape[1], : part.shape[2]] = part
    return np.ascontiguousarray(whole[:, :, ::step])
