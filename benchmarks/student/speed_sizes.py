"""Students of three sizes, and what is measured of each."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch.profiler import profile, record_function

from benchmarks.labels.training_data import rate, write_store
from geometry.resampling.augment import Augmentation
from models.student import StudentConfig, StudentModel
from models.student.configuration import tiny_config
from models.student.labels import Label
from models.student.losses import student_losses
from tasks.predict.predict import predict
from tasks.train.labels.auxiliaries import deriving
from tasks.train.labels.data import Batch, DataSettings, TrainingData
from tasks.train.labels.items import ItemSettings
from tasks.train.settings import TrainSettings
from tasks.train.student.training import train_model

TASKS = ("depth", "normals", "semantics")
SMALL_VIT = {
    "model_type": "dinov2", "image_size": 518, "hidden_size": 384, "num_hidden_layers": 12, "num_attention_heads": 6,
    "out_indices": [3, 6, 9, 12],
}  # fmt: skip
THREADS = 2
SHOWN = 8
"""Operators of the profile."""


@dataclass(frozen=True)
class Size:
    """A student, how it trains, and how many steps are enough to measure it."""

    config: Callable[[Sequence[str]], StudentConfig]
    height: int
    batch: int
    steps: int
    precision: Literal["no", "bf16"] = "no"
    needs_gpu: bool = False


def _named(classes: Sequence[str], **settings: Any) -> StudentConfig:
    return StudentConfig(id2label=dict(enumerate(classes)), **settings)


SIZES = {
    "tiny ConvNeXt, 64 rows": Size(lambda classes: tiny_config("convnext", classes), 64, 2, 24),
    "DINOv2 ViT-S, 252 rows": Size(lambda classes: _named(classes, backbone_config=SMALL_VIT), 252, 1, 4),
    "DINOv2 ViT-L, 504 rows, as configs/mtpano.yaml": Size(_named, 504, 4, 40, "bf16", needs_gpu=True),
}


class InMemory:
    """Training data that are there already: the same batches in every epoch."""

    def __init__(self, data: TrainingData, count: int) -> None:
        self.settings, self.classes = data.settings, data.classes
        self._batches = _first(data, count)

    def batches(self, epoch: int, step: int = 0, rank: int = 0, world: int = 1) -> Iterator[Batch]:
        yield from self._batches[step:]


def _first(data: TrainingData, count: int) -> list[Batch]:
    return [batch for batch, _ in zip(data.batches(0), range(count))]


def measure(size: Size, folder: Path) -> dict[str, Any]:
    """Rates in panoramas per second, shares of a step, and peaks of memory in bytes."""
    store = write_store(folder, max(16, 2 * size.batch))
    item = ItemSettings(size.height, augmentation=Augmentation(), derive=deriving(TASKS, 0.1))
    data = TrainingData([store], DataSettings(item, size.batch, threads=THREADS))
    model = StudentModel(size.config(data.classes))
    device = "cuda" if torch.cuda.is_available() else "cpu"
    found: dict[str, Any] = {"weights": sum(one.numel() for one in model.parameters())}
    found |= {"prediction": _prediction(model.to(device).eval(), size.height, device), "prediction_peak": _peak(device)}
    count = data.steps(0) * size.batch
    found |= {"loader": rate(data.batches(0), count)}
    found |= {"phases": {}, "operators": {}, **_profile(model, _first(data, 1)[0], device)}
    seconds = {
        "steps": _step_seconds(model, InMemory(data, 2), size, folder),
        "training": _step_seconds(model, data, size, folder),
    }
    found |= {name: size.batch / value for name, value in seconds.items()}
    return found | {"share": min(seconds["steps"] / seconds["training"], 1.0), "training_peak": _peak(device)}


def _peak(device: str) -> int:
    """Bytes: of the GPU where there is one, of the process otherwise."""
    return torch.cuda.max_memory_allocated() if device == "cuda" else 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _prediction(model: StudentModel, height: int, device: str, times: int = 3) -> float:
    image = np.random.default_rng(0).integers(0, 256, (height, 2 * height, 3), dtype=np.uint8)
    predict(model, image, device)
    started = time.perf_counter()
    for _ in range(times):
        predict(model, image, device)
    return times / (time.perf_counter() - started)


def _step_seconds(model: StudentModel, data: Any, size: Size, folder: Path) -> float:
    """Seconds of a step of the training loop; the first ones, in which everything warms up, are left out."""
    moments: list[float] = []

    def log(_step: int, _figures: Mapping[str, float]) -> None:  # its figures are there, so the device is done
        moments.append(time.perf_counter())

    settings = TrainSettings(
        steps=size.steps, frozen_steps=0, log_every=1, checkpoint_every=10**9, precision=size.precision, learning_rate=1e-5
    )
    train_model(model, data, None, settings, str(folder / f"checkpoints-{type(data).__name__}"), log)
    warm = min(size.steps // 4, 4)
    return (moments[-2] - moments[warm - 1]) / (len(moments) - 1 - warm)  # the last step also writes the checkpoint


def _profile(model: StudentModel, batch: Batch, device: str) -> dict[str, dict[str, float]]:
    model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-6)
    labels = {task: _moved(label, device) for task, label in batch.labels.items()}
    images = batch.images.to(device).float() / 255

    def step() -> None:
        with _phase("forward", device):
            output = model(images)
        with _phase("losses", device):
            total = torch.stack(list(student_losses(output, labels).values())).sum()
        with _phase("backward", device):
            total.backward()
        with _phase("optimizer", device):
            optimizer.step()
            optimizer.zero_grad()

    step()
    with profile() as profiler:
        step()
    rows = profiler.key_averages()
    phases = {row.key.removeprefix("phase "): row.cpu_time_total for row in rows if row.key.startswith("phase ")}
    own = {row.key: row.self_cpu_time_total for row in rows if not row.key.startswith("phase ")}
    costly = sorted(own, key=lambda key: -own[key])[:SHOWN]
    return {
        "phases": {name: value / sum(phases.values()) for name, value in phases.items()},
        "operators": {name.removeprefix("aten::"): own[name] / sum(own.values()) for name in costly},
    }


def _moved(label: Label, device: str) -> Label:
    trust = label.confidence
    return Label(label.value.to(device), label.valid.to(device), None if trust is None else trust.to(device))


@contextmanager
def _phase(name: str, device: str) -> Iterator[None]:
    """A part of a step in the profile, to its end on the device."""
    with record_function(f"phase {name}"):
        yield
        if device == "cuda":
            torch.cuda.synchronize()
