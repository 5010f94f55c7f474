"""Videos of shots that are made of numbers alone: pictures that turn, stand still, are black, or are what two lenses saw."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import yaml
from numpy.typing import NDArray

from scenes.clips import write_video

HEIGHT, RATE = 32, 10
"""Rows of the pictures, and frames a second."""
Shot = tuple[str, float, int]
"""What it is (``turning``, ``still``, ``black`` or ``lenses``), its seconds, and a seed."""


def panorama(seed: int, height: int = HEIGHT) -> NDArray[np.uint8]:
    """A picture (height, 2 height, 3) of its own brightness whose edges join."""
    generator = np.random.default_rng([9, seed])
    coarse = generator.integers(0, 120, (4, 8, 3)) + 40 * (seed % 4)
    wide = np.concatenate([coarse[:, -2:], coarse, coarse[:, :2]], axis=1).astype(np.uint8)
    grown = cv2.resize(wide, (3 * height, height), interpolation=cv2.INTER_LINEAR)
    return np.ascontiguousarray(grown[:, height // 2 : height // 2 + 2 * height])


def pictures(shots: Sequence[Shot], rate: int = RATE, height: int = HEIGHT) -> list[NDArray[np.uint8]]:
    """The frames of all shots."""
    rows, columns = np.mgrid[:height, : 2 * height]
    lenses = (np.hypot(rows - height / 2 + 0.5, columns % height - height / 2 + 0.5) < height / 2)[..., None]
    found = []
    for kind, seconds, seed in shots:
        still = panorama(seed, height) * (kind != "black")
        for number in range(round(seconds * rate)):
            turned = np.roll(still, number, axis=1) if kind in ("turning", "lenses") else still
            found.append(np.ascontiguousarray(turned * lenses if kind == "lenses" else turned, np.uint8))
    return found


def write_shots(path: Path, shots: Sequence[Shot], rate: int = RATE, height: int = HEIGHT) -> None:
    """A video of them, FFV1 in Matroska."""
    path.parent.mkdir(parents=True, exist_ok=True)
    own = pictures(shots, rate, height)
    write_video(path, own, [round(number * 1000 / rate) for number in range(len(own))], gop=rate)


def write_config(folder: Path, block_size: int = 1, without: Sequence[str] = (), **stages: dict[str, Any]) -> Path:
    """A config over ``videos`` in a folder: they are cut, and a frame a second of them is labelled; returns its path."""
    (folder / "teacher.json").write_text('{"factor": 2.0}')
    teacher = {"kind": "tests.support.brightness:load", "settings": {"weights": str(folder / "teacher.json")}}
    limits = {"most_seam": 99, "most_poles": 99, "most_halves": 1}
    source = {"kind": "videos", "url": str(folder / "videos")}
    own: dict[str, Any] = {
        "ingest": {"source": source, "block_size": block_size, **limits},
        "cut": {},
        "frames": {"height": 32, "sampling": {"kind": "rate", "hertz": 1}},
        "project": {"patch_size": 16, "layout": {"kind": "cubemap", "fov_degrees": 100}},
        "geometry": {"stage": "label", "fields": ["depth"], **teacher},
        "fuse": {"height": 32},
        **stages,
    }
    data = {
        "name": "videos",
        "root": str(folder / "store"),
        "stages": {key: said for key, said in own.items() if key not in without},
        "execution": {"runner": {"workers": 2}, "pictures": 0},
    }
    path = folder / "videos.yaml"
    path.write_text(yaml.safe_dump(data, sort_keys=False))
    return path
