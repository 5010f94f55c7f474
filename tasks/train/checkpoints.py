"""Checkpoints of a training: one file each, written whole or not at all, and read without running what they hold.

<url>/step-00001000.pt       all that is needed to go on; the newest ones are kept
<url>/best.pt                the best weights so far, by the score of the held-out split
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Mapping
from typing import Any

import torch

from storage.urls import children, exists, join, read_bytes, remove, write_bytes

NAME = re.compile(r"step-(\d{8})\.pt")
BEST = "best.pt"


def save_checkpoint(url: str, step: int, state: Mapping[str, Any], keep: int) -> None:
    """Write a checkpoint, then remove all but the newest ``keep``. A full disk leaves the former ones as they were."""
    _save(join(url, f"step-{step:08d}.pt"), state)
    for old in _steps(url)[:-keep]:
        remove(join(url, f"step-{old:08d}.pt"))


def load_checkpoint(url: str) -> dict[str, Any] | None:
    """The newest checkpoint that can be read, or None. A damaged one is passed over with a warning."""
    for step in reversed(_steps(url)):
        file = join(url, f"step-{step:08d}.pt")
        try:
            return _load(file)
        except Exception as error:  # whatever its unpickler trips over
            warnings.warn(f"{file}: is damaged ({str(error)[:100]}); going on from the one before", stacklevel=2)
    return None


def save_best(url: str, state: Mapping[str, Any]) -> None:
    """Replace the best weights."""
    _save(join(url, BEST), state)


def load_best(url: str) -> dict[str, Any] | None:
    """The best weights, or None if no score was taken yet."""
    return _load(join(url, BEST)) if exists(join(url, BEST)) else None


def _steps(url: str) -> list[int]:
    return sorted(int(match[1]) for name in children(url) if (match := NAME.fullmatch(name)))


def _save(url: str, state: Mapping[str, Any]) -> None:
    buffer = io.BytesIO()
    torch.save(dict(state), buffer)
    write_bytes(url, buffer.getvalue())


def _load(url: str) -> dict[str, Any]:
    # weights_only: tensors and plain containers, so that a checkpoint from elsewhere cannot run code.
    return torch.load(io.BytesIO(read_bytes(url)), map_location="cpu", weights_only=True)
