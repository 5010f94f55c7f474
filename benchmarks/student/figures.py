"""What a student, or its labels, get wrong on one panorama: sums that can be drawn again and again."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.student.data import Arrays, open_store, read_bgr, read_truth
from metrics.depth import depth_figures
from metrics.normals import normal_figures
from metrics.semantics import confusion, vocabulary_map
from metrics.weights import row_weights
from models.student import StudentModel
from scenes.vocabulary import CLASSES
from storage.arrays import BlockReader
from storage.items import Item
from tasks.label.fuse import decode_labels
from tasks.predict.predict import predict


def scene_figures(said: Mapping[str, NDArray[Any]], truth: Arrays, classes: Sequence[str]) -> dict[str, Any]:
    """Figures of one panorama, weighted by area, over all pixels that are not sky in truth and that the labels do not leave out.

    Parameters
    ----------
    said : ``depth`` (H, W), ``normals`` (H, W, 3), ``semantics`` (H, W) class numbers; ``<task>_valid`` where some are left out
    truth : as :func:`benchmarks.student.data.read_truth` gives it
    classes : the labels' vocabulary

    Returns
    -------
    dict
        ``AbsRel``, ``normals, degrees``, and ``confusion``: true class -> said class -> weight, of classes that occur.
    """
    land = ~truth["sky"]
    area = np.repeat(row_weights(land.shape[0], True)[:, None], land.shape[1], axis=1)
    figures: dict[str, Any] = {}
    if "depth" in said:
        valid = land & said.get("depth_valid", True)
        figures["AbsRel"] = depth_figures(said["depth"], truth["depth"], valid, area)["abs_rel"]
    if "normals" in said:
        valid = land & said.get("normals_valid", True)
        figures["normals, degrees"] = normal_figures(said["normals"], truth["normals"], valid, area)["mean"]
    if "semantics" in said:
        valid = np.broadcast_to(said.get("semantics_valid", True), land.shape)
        named = vocabulary_map(classes, CLASSES)[said["semantics"]]
        matrix = confusion(named, truth["semantics"], valid, area, len(CLASSES))
        figures["confusion"] = [[int(t), int(s), round(float(matrix[t, s]), 3)] for t, s in np.argwhere(matrix > 0)]
    return figures


def student_figures(model: StudentModel, items: Sequence[Item], folder: Path, device: str = "cpu") -> dict[str, dict[str, Any]]:
    """Figures of a student by panorama. Nothing is left out: where it wrongly says sky, its distance counts."""
    classes = tuple((model.config.id2label or {}).values())
    found = {}
    for item in items:
        image = np.ascontiguousarray(read_bgr(item.uri)[..., ::-1])
        said = predict(model, image, device)
        if "semantics" in said:
            said["semantics"] = said["semantics"].argmax(-1)
        found[item.item] = scene_figures(said, read_truth(folder, item.item), classes)
    return found


def label_figures(folder: Path, name: str, split: str = "train") -> dict[str, dict[str, Any]]:
    """Figures of the labels of a store themselves, by panorama of a split; kept beside the runs once they are made."""
    path = folder / "labels" / f"{name}.json"
    if not path.exists():
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(dict(_measured(folder, name, split))))
    found: dict[str, dict[str, Any]] = json.loads(path.read_text())
    return found


def _measured(folder: Path, name: str, split: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for url, block, receipt in open_store(folder, name).blocks:
        reader, classes = BlockReader(url, receipt.files), receipt.about["classes"]
        for slot, item in enumerate(block.items):
            if item.split == split and receipt.items[slot].state == "done":
                labels = decode_labels(reader.item(slot))
                yield item.item, scene_figures(labels, read_truth(folder, item.item), classes)
