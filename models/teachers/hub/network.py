"""A `transformers` network, loaded and ready: what all adapters share."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from numpy.typing import NDArray
from transformers.utils import logging

from geometry.cameras import Camera
from geometry.fields import Field
from models.teachers.postprocess import as_arrays, join
from models.teachers.preprocess import ImageSpec, prepare, read_spec
from models.teachers.settings import TransformersSettings
from models.teachers.sizes import check_answer

MAPS = ("predicted_depth", "normals", "logits", "segmentation_logits", "masks_queries_logits")
"""Outputs that lie over the picture."""


@dataclass(frozen=True)
class Network:
    """A frozen network with what it wants of its input."""

    model: Any
    folder: Path
    spec: ImageSpec
    settings: TransformersSettings
    device: str

    @property
    def config(self) -> Any:
        return self.model.config

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, from the settings or the model's config.

        Raises
        ------
        ValueError
            The settings name more or fewer classes than the model has, or its config does not number them from 0.
        """
        told = self.config.id2label
        if not self.settings.classes and set(told) != set(range(len(told))):
            raise ValueError(
                f"classes: id2label in {self.folder / 'config.json'} does not number its {len(told)} classes from 0 to "
                f"{len(told) - 1}; name them all in the teacher's settings, in the order of the model's outputs"
            )
        named = self.settings.classes or tuple(str(told[index]) for index in range(self.config.num_labels))
        if len(named) != self.config.num_labels:
            raise ValueError(f"classes: names {len(named)} classes, but the model has {self.config.num_labels}; name them all")
        return named

    def __call__(self, patches: NDArray[np.uint8], **inputs: torch.Tensor) -> Any:
        """The model's output for patches (N, h, w, 3) uint8 RGB, prepared as it wants them."""
        pixels = prepare(patches, self.spec, self.device)
        half = self.settings.dtype != "float32"
        with torch.autocast(torch.device(self.device).type, dtype=getattr(torch, self.settings.dtype), enabled=half):
            said = self.model(pixel_values=pixels, **inputs)
        for name in MAPS:
            if (values := getattr(said, name, None)) is not None:
                check_answer(tuple(values.shape[-2:]), tuple(pixels.shape[-2:]))
        return said


def load_network(folder: Path, architecture: str, settings: TransformersSettings, device: str) -> Network:
    """Load the model of class ``architecture`` from a folder, in evaluation mode.

    Raises
    ------
    ValueError
        The installed `transformers` has no such class, or the folder lacks some of the model's weights.
    """
    model_class = getattr(transformers, architecture, None)
    if model_class is None:
        raise ValueError(f"model: transformers {transformers.__version__} has no class {architecture!r}; update transformers")
    # DepthPro: the camera's field of view is known, so the network that guesses it is left out.
    extra = {"use_fov_model": False} if architecture.startswith("DepthPro") else {}
    with _quietly():
        model, report = model_class.from_pretrained(
            folder, local_files_only=True, dtype=torch.float32, output_loading_info=True, **extra
        )
    # transformers fills missing weights with random numbers and goes on; labels must never come from those.
    lacking = sorted(report["missing_keys"]) + sorted(str(key) for key in report["mismatched_keys"])
    if lacking:
        raise ValueError(f"model: {folder} lacks weights of {architecture}: {', '.join(lacking[:5])} ({len(lacking)} in all)")
    model = model.eval().requires_grad_(False).to(device)
    return Network(model, folder, read_spec(folder, model.config, settings.input_size), settings, device)


@contextmanager
def _quietly() -> Iterator[None]:
    """No progress bars and loading reports: the caller decides what a user sees."""
    shown, level = logging.is_progress_bar_enabled(), logging.get_verbosity()
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if shown:
            logging.enable_progress_bar()


Say = Callable[[NDArray[np.uint8], Sequence[Camera]], dict[str, Any]]
"""Patches and cameras -> fields, of tensors where they may stay on the device."""


def in_batches(say: Say, patches: NDArray[np.uint8], cameras: Sequence[Camera], batch_size: int | None) -> dict[str, Field]:
    """What ``say`` makes of patches (N, h, w, 3), as arrays."""
    return join([as_arrays(part) for part in said_in_batches(say, patches, cameras, batch_size)])


def tensors_in_batches(
    say: Say, patches: NDArray[np.uint8], cameras: Sequence[Camera], batch_size: int | None
) -> list[dict[str, Any]]:
    """The same, as fields of tensors on the network's device, one for each batch."""
    return list(said_in_batches(say, patches, cameras, batch_size))


def said_in_batches(
    say: Say, patches: NDArray[np.uint8], cameras: Sequence[Camera], batch_size: int | None
) -> Iterator[dict[str, Any]]:
    """What ``say`` makes of patches (N, h, w, 3), batch by batch, without gradients and with repeatable kernels."""
    step = batch_size or len(patches)
    for start in range(0, len(patches), step):
        with torch.inference_mode(), torch.backends.cudnn.flags(benchmark=False, deterministic=True):
            part = say(patches[start : start + step], cameras[start : start + step])
        yield part
