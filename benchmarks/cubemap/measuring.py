"""What networks say of panoramas that none has seen, through the pipeline's own functions, against the exact truth."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.cubemap.arms import Arm
from geometry.cameras import Camera
from geometry.fields import Field
from geometry.resampling.patches import extract_nearest, extract_patches
from metrics.normals import weighted_median
from metrics.panorama import evaluate_item, other_figures
from metrics.protocols import PROTOCOLS, protocol_named
from metrics.weights import row_weights
from models.cubemap.network import normalised
from models.cubemap.scale import log_scale
from models.teachers import Teacher, load_teacher
from models.teachers.panoramic.cubemap import CubemapTeacher, face_cameras
from scenes.build import build_scene
from scenes.render import render_erp
from scenes.training_faces import kind_of
from scenes.training_shards import UNSEEN
from scenes.vocabulary import CLASSES
from tasks.label.fuse import fusion_settings
from tasks.label.labellings import fuse_labellings
from tasks.label.project import choose_views
from tasks.label.settings import Fuse, Project
from tasks.label.teachers.inferring import VIEWS
from tasks.label.teachers.looking import look

IMAGE, HEIGHT = 512, 256
"""Rows of the panorama that networks look at, and of the labels."""
FUSIONS: dict[str, dict[str, dict[str, Any]]] = {
    "views": {"align": {"depth": "align"}, "blend": {"depth": "blend", "depth_edge": 0.3}},
    "faces": {"default": {}},
}
"""How each kind of network's views are fused: ``blend`` so is what ``panolabel infer`` writes."""
FIELDS = {"views": ("depth", "normals", "semantics"), "faces": ("depth", "normals", "sky")}


@dataclass(frozen=True, eq=False)
class Place:
    """A panorama of an unseen scene, ``image`` (IMAGE, 2 IMAGE, 3), and its truth at HEIGHT rows."""

    seed: int
    image: NDArray[np.uint8]
    truth: Mapping[str, NDArray[Any]]


def place(number: int, folder: Path) -> Place:
    """The unseen panorama of that number; rendered once and kept."""
    path = folder / "places" / f"{IMAGE}-{HEIGHT}-{UNSEEN + number}.npz"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part.npz")
        np.savez(part, **_rendered(UNSEEN + number))
        part.replace(path)
    arrays = dict(np.load(path))
    return Place(UNSEEN + number, arrays.pop("image"), arrays)


def _rendered(seed: int) -> dict[str, NDArray[Any]]:
    generator = np.random.default_rng([8, seed])
    scene = build_scene(kind_of(seed), seed)
    position, heading = scene.free_position(generator), float(generator.uniform(0, 2 * np.pi))
    image = render_erp(scene, position, IMAGE, 2 * IMAGE, 2, heading).image
    true = render_erp(scene, position, HEIGHT, 2 * HEIGHT, 1, heading)
    return {"image": image, "depth": true.depth, "normals": true.normals, "sky": true.sky}


class Clock:
    """Processor seconds of all threads by step."""

    def __init__(self) -> None:
        self.spent: dict[str, float] = {}

    def __call__(self, step: str, work: Any, *arguments: Any, **named: Any) -> Any:
        """``work(...)``, on the account of ``step``."""
        before = time.process_time()
        made = work(*arguments, **named)
        self.spent[step] = time.process_time() - before
        return made


def measured(arm: Arm, model: Path, where: Place) -> dict[str, Any]:
    """Figures of one network on one panorama as JSON values, by how its views are fused; processor seconds; what it noted."""
    teacher, cameras = asked(arm, model)
    clock = Clock()
    pixels = clock("cut", extract_patches, where.image, cameras)
    said = clock("network", look, teacher, pixels, cameras, {}, FIELDS[arm.sees], 8 if arm.sees == "views" else None)
    found: dict[str, Any] = {"kind": kind_of(where.seed), "notes": dict(said["depth"].notes), "fused": {}}
    for name, own in FUSIONS[arm.sees].items():
        settings = fusion_settings(Fuse(height=HEIGHT, **own), teacher.classes)
        views = dict.fromkeys(said, cameras)
        labels = clock(name, fuse_labellings, [(said, views)], HEIGHT, settings, metric=said["depth"].unit == "metre")
        found["fused"][name] = judged(labels, where.truth)
    if isinstance(teacher, CubemapTeacher) and arm.shipped is not None:
        found["scales"] = scales(teacher, pixels, cameras, said, where)
    return found | {"seconds": clock.spent}


@lru_cache(maxsize=4)
def asked(arm: Arm, model: Path) -> tuple[Teacher, tuple[Camera, ...]]:
    """A network as a teacher, and the views that it is asked through; it has looked once, which takes longer than later."""
    kind = {"views": "transformers", "faces": "cubemap"}[arm.sees]
    teacher = load_teacher(kind, {"model": str(model)}, "cpu")
    cameras: Any = choose_views(Project.model_validate(VIEWS), "")
    if isinstance(teacher, CubemapTeacher):
        cameras = face_cameras(teacher.network.config)
    teacher(np.zeros((min(len(cameras), 8), cameras[0].height, cameras[0].width, 3), np.uint8), cameras[:8], {})
    return teacher, cameras


def judged(labels: Mapping[str, NDArray[Any]], truth: Mapping[str, NDArray[Any]]) -> dict[str, float | None]:
    """Figures of fused labels."""
    told = evaluate_item(labels, truth, CLASSES, CLASSES, protocol_named("panolabel"))
    scaled = other_figures(labels, truth, {"scaled": PROTOCOLS["panolabel_scale"]})["scaled"]["depth.abs_rel"]
    land = labels["depth_valid"] & ~truth["sky"]
    area = np.repeat(row_weights(HEIGHT, True)[:, None], 2 * HEIGHT, axis=1)
    logs = np.log(labels["depth"][land] / truth["depth"][land])
    return {
        "abs_rel": told["depth"]["abs_rel"],
        "abs_rel_scaled": scaled,
        "delta1": told["depth"]["delta1"],
        "normals": told["normals"]["mean"],
        "coverage": float(area[land].sum() / area[~truth["sky"]].sum()),
        "log_scale_error": weighted_median(logs, area[land]),
        **{f"seams.{name}": value for name, value in told["seams"].items()},
        **{f"truth_seams.{name}": value for name, value in told["truth_seams"].items()},
    }


def scales(
    teacher: CubemapTeacher, pixels: NDArray[np.uint8], cameras: tuple[Camera, ...], said: Mapping[str, Field], where: Place
) -> dict[str, float]:
    """Other ways from the scale head's map to metres: AbsRel on the faces by its ``median``, its ``mean``, and the map itself."""
    scene = "outdoor" if said["depth"].notes["p_outdoor"] > 0.5 else "indoor"
    with torch.inference_mode():
        images = normalised(torch.from_numpy(pixels), teacher.network.config)[None]
        answer = teacher.network(images, cameras, [scene])  # type: ignore[list-item]
    assert answer.log_metric is not None
    assert answer.log_depth is not None
    coarse = answer.log_metric[scene][0]  # type: ignore[index]
    cell = pixels.shape[1] // coarse.shape[-1]
    log_z = answer.log_depth[0]
    pooled = torch.nn.functional.avg_pool2d(log_z, cell)
    direct = coarse.repeat_interleave(cell, 1).repeat_interleave(cell, 2)
    log_s = float(log_scale(answer.log_metric[scene], answer.log_depth)[0])  # type: ignore[index]
    true = np.where(where.truth["sky"], 0, where.truth["depth"])
    z = extract_nearest(true.astype(np.float32), cameras) * np.stack([camera.rays()[..., 2] for camera in cameras])
    found = {"median": log_z + log_s, "mean": log_z + (coarse - pooled).mean(), "direct": direct}
    return {name: float(np.abs(np.exp(log.numpy())[z > 0] / z[z > 0] - 1).mean()) for name, log in found.items()}
