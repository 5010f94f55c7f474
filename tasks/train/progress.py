"""What is said of a training while it runs, and how it may end before its time."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from accelerate import PartialState

from storage.urls import exists, read_bytes, write_bytes
from tasks.stage.attempts.stopping import Stopped as Stopped
from tasks.stage.attempts.telling import tell

Log = Callable[[int, Mapping[str, float]], None]
"""Takes the step and named figures: print, a file, TensorBoard, MLflow."""


def telling_of(steps: int, every: int = 1) -> Log:
    """A log that tells whoever had the training made of figures that are so many steps apart, at least."""
    told = -every

    def log(step: int, figures: Mapping[str, float]) -> None:
        nonlocal told
        if step == told or step >= min(told + every, steps):
            told = step
            said = [f"{name.removeprefix('optimizer.').replace('_', ' ')} {value:.3g}" for name, value in figures.items()]
            tell(f"step {step} of {steps}: {', '.join(said)}")

    return log


class Diverged(RuntimeError):
    """The loss or its gradient is no number any more. The checkpoints are from before."""


@dataclass
class Progress:
    """Where a training is; part of its checkpoint."""

    step: int = 0
    epoch: int = 0
    batch: int = 0
    best: float = float("inf")
    since_best: int = 0


class LogFile:
    """Figures by step, kept beside the checkpoints as JSON; a training that goes on overwrites what it does again."""

    def __init__(self, url: str, listeners: Sequence[Log] = ()) -> None:
        self._url, self._listeners = url, listeners
        self.rows: dict[int, dict[str, float]] = {}
        if exists(url):
            self.rows = {int(step): row for step, row in json.loads(read_bytes(url)).items()}

    def __call__(self, step: int, figures: Mapping[str, float]) -> None:
        self.rows = {known: row for known, row in self.rows.items() if known <= step}
        self.rows[step] = {**self.rows.get(step, {}), **figures}
        if PartialState().is_main_process:
            write_bytes(self._url, json.dumps(self.rows).encode())
            for tell in self._listeners:
                tell(step, figures)
