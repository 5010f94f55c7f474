"""The brightness teacher with switches: it can be held, killed, starved of memory or made to talk nonsense, item by item.

The switches lie in ``switches.json`` beside the weights and are read at every call, so that a test can turn them while a run
goes on, and the teacher's identity stays the same. Every call is noted in ``journal``, one line ``<process> <item>``.
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geometry.cameras import Camera
from geometry.fields import Field
from models.teachers import CannotLabel
from tests.support import brightness


class FaultyTeacher:
    """See the module; ``folder`` holds the switches and the journal."""

    classes = brightness.BrightnessTeacher.classes
    fields = brightness.BrightnessTeacher.fields

    def __init__(self, inner: brightness.BrightnessTeacher, folder: Path) -> None:
        self.inner, self.folder = inner, folder

    def __call__(self, patches: NDArray[np.uint8], cameras: Sequence[Camera], item: Mapping[str, object]) -> dict[str, Field]:
        name = str(item["item"])
        with (self.folder / "journal").open("a") as journal:
            journal.write(f"{os.getpid()} {name}\n")
        if name == self._switch("kill_on"):
            os.kill(os.getpid(), signal.SIGKILL)
        if len(patches) > self._switch("memory_for", len(patches)):
            import torch

            raise torch.OutOfMemoryError("CUDA out of memory")
        while name == self._switch("hold_on"):
            time.sleep(0.02)
        time.sleep(self._switch("sleep", 0))
        said = self.inner(patches, cameras, item)
        return {field: self._spoilt(name, one) for field, one in said.items()}

    def _spoilt(self, item: str, field: Field) -> Field:
        how = self._switch("spoil", {}).get(item)
        if how is None:
            return field
        if how == "bug":
            raise ValueError("a bug of the teacher's")
        if how == "cannot":
            raise CannotLabel("the lens cap was on")
        if how == "dark":
            raise CannotLabel("at night: too dark")
        if how == "all sky":
            return replace(field, valid=np.zeros_like(field.valid))
        if field.name == "depth":
            values = field.values.copy()
            values[0, :2, :5] = np.nan
            values[1, 0, 0] = np.inf
            return replace(field, values=values)
        return field

    def _switch(self, name: str, default: Any = None) -> Any:
        return switches(self.folder).get(name, default)


def load(settings: Mapping[str, Any], device: str) -> FaultyTeacher:
    """The teacher with the weights in ``settings["weights"]``."""
    return FaultyTeacher(brightness.load(settings, device), Path(settings["weights"]).parent)


def switches(folder: Path) -> dict[str, Any]:
    """The switches that are on."""
    path = folder / "switches.json"
    return json.loads(path.read_text()) if path.exists() else {}


def switch(folder: Path, **values: Any) -> None:
    """Turn exactly these switches on, at once for every process."""
    partial = folder / f"switches.{os.getpid()}"
    partial.write_text(json.dumps(values))
    partial.replace(folder / "switches.json")


def journal(folder: Path) -> list[tuple[int, str]]:
    """Process and item of every call, in order."""
    path = folder / "journal"
    lines = path.read_text().splitlines() if path.exists() else []
    return [(int(process), item) for process, item in (line.split() for line in lines)]
