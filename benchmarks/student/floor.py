"""What can be said of a room without looking at it: the same answer for every panorama, row by row, from the training truth."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.student.data import open_store, read_truth, split_items
from benchmarks.student.figures import scene_figures
from geometry.directions import erp_directions
from scenes.vocabulary import CLASSES


def blind_answer(truths: list[dict[str, NDArray[Any]]]) -> dict[str, NDArray[Any]]:
    """Median distance and commonest class of each row, and the mean normal of each row in the pixels' own frame, by truths."""
    height, width = truths[0]["depth"].shape
    across = erp_directions(height, width)[height // 2] * [1, 0, 1]  # horizontal, one for every column
    across /= np.linalg.norm(across, axis=-1, keepdims=True)
    depth, classes, normals = np.empty((height, 1)), np.empty((height, 1), np.int64), np.empty((height, width, 3))
    for row in range(height):
        known = [~truth["sky"][row] for truth in truths]
        depth[row] = np.median(np.concatenate([truth["depth"][row][land] for truth, land in zip(truths, known)]))
        classes[row] = np.bincount(np.concatenate([truth["semantics"][row] for truth in truths])).argmax()
        outwards = [(truth["normals"][row] * across).sum(-1)[land].mean() for truth, land in zip(truths, known)]
        upright = [truth["normals"][row][land, 1].mean() for truth, land in zip(truths, known)]
        mean = np.mean(outwards) * across + np.mean(upright) * np.array([0.0, 1.0, 0.0])
        normals[row] = mean / np.linalg.norm(mean, axis=-1, keepdims=True)
    shape = (height, width)
    return {"depth": np.broadcast_to(depth, shape), "normals": normals, "semantics": np.broadcast_to(classes, shape)}


def floor_figures(folder: Path) -> dict[str, dict[str, Any]]:
    """Figures of the blind answer on the test panoramas; kept beside the runs once they are made."""
    path = folder / "labels" / "floor.json"
    if not path.exists():
        path.parent.mkdir(exist_ok=True)
        store = open_store(folder, "truth")
        said = blind_answer([read_truth(folder, item.item) for item in split_items(store, "train")])
        names = [item.item for item in split_items(store, "test")]
        path.write_text(json.dumps({name: scene_figures(said, read_truth(folder, name), CLASSES) for name in names}))
    found: dict[str, dict[str, Any]] = json.loads(path.read_text())
    return found
