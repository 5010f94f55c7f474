"""Kind ``transformers``: from a model's folder to the adapter for what its architecture gives."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from models.teachers.base import Teacher
from models.teachers.from_depth import with_derived_normals
from models.teachers.hub.dense import build_dense
from models.teachers.hub.depth import build_depth
from models.teachers.hub.network import Network, load_network
from models.teachers.hub.panoptic import build_panoptic
from models.teachers.hub.semantic import build_semantic
from models.teachers.settings import TransformersSettings, parse
from models.teachers.weights import model_folder

FAMILIES: dict[str, tuple[Callable[[Network], Teacher], tuple[str, ...]]] = {
    "ForDensePrediction": (build_dense, ("dense", "depth", "normals", "semantics")),
    "ForDepthEstimation": (build_depth, ("depth",)),
    "ForNormalEstimation": (build_dense, ("normals",)),
    "ForSemanticSegmentation": (build_semantic, ("semantics",)),
    "ForUniversalSegmentation": (build_panoptic, ("panoptic", "semantics", "instances")),
    "MaskFormerForInstanceSegmentation": (build_panoptic, ("panoptic", "semantics", "instances")),
}
"""By the end of an architecture's name: its adapter, and the tasks it can do, the default first."""


def load(settings: Mapping[str, Any], device: str) -> Teacher:
    """A teacher from a network of `transformers`; see :class:`~models.teachers.settings.TransformersSettings`.

    Raises
    ------
    ValueError
        A setting is wrong, or the architecture gives no dense field.
    FileNotFoundError
        The weights are not there.
    """
    parsed = parse(TransformersSettings, settings, "transformers")
    folder = model_folder(parsed)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    architecture = (config.get("architectures") or ["none"])[0]
    ending = next((end for end in FAMILIES if architecture.endswith(end)), None)
    if ending is None:
        raise ValueError(
            f"model: the architecture {architecture!r} in {folder / 'config.json'} gives no dense field; choose a model whose "
            f"architecture ends in one of {', '.join(FAMILIES)}"
        )
    build, tasks = FAMILIES[ending]
    task = parsed.task or tasks[0]
    if task not in tasks:
        raise ValueError(f"task: {architecture} cannot do {task!r}, only {', '.join(tasks)}; change `task` or the model")
    teacher = build(load_network(folder, architecture, parsed.model_copy(update={"task": task}), device))
    return with_derived_normals(teacher) if parsed.derive_normals else teacher
