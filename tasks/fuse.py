"""fuse: patch labels -> ERP labels. Brings the views of all teachers together on the sphere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from configs.schema import Config
from configs.schema import Fuse as Settings
from geometry.cameras import Camera
from geometry.fields import Field
from geometry.fusion import FusionSettings, fuse
from geometry.rotations import rotation_consistency
from metrics.consistency import consistency_figures
from storage.fingerprint import Identity
from storage.manifest import Item
from storage.receipts import Receipt
from tasks import label, project
from tasks.block import Job, Output, Upstream, run_block
from tasks.rotations import fuse_work, rotated_views, rotation_of

VERSION = "3"

Labelling = tuple[dict[str, Field], tuple[Camera, ...]]
"""What teachers say of a panorama through one set of views."""


def identity(config: Config, labels: Mapping[str, str]) -> Identity:
    """What the fused labels depend on. ``labels`` maps each label stage to its fingerprint."""
    upstream = {"project": project.identity(config).fingerprint, **labels}
    return Identity("fuse", VERSION, config.fuse.model_dump(mode="json"), upstream=upstream)


def fuse_block(job: Job) -> Receipt:
    """Fuse the patch labels of every panorama of a block."""
    settings = job.config.fuse
    views = Upstream(job, "project")
    teachers = [Upstream(job, stage) for stage in sorted(job.identity.upstream) if stage.startswith("label.")]
    classes: list[str] = next((t.receipt.about["classes"] for t in teachers if "semantics" in t.receipt.about["fields"]), [])
    sky = [index for index, name in enumerate(classes) if name.lower() == "sky"]
    fusion = FusionSettings(
        off_axis_power=settings.off_axis_power,
        edge_feather=settings.edge_feather,
        depth=settings.depth,
        depth_edge=settings.depth_edge,
        consistency_scale=settings.consistency_scale,
        classes=len(classes) or 256,
        sky_class=sky[0] if sky else None,
    )

    units = {name: tags["unit"] for t in teachers for name, tags in t.receipt.about["fields"].items()}
    rotations = max(rotation_of(teacher.stage) for teacher in teachers)

    def read(slot: int, _item: Item) -> list[Labelling]:
        cameras = project.decode_cameras(views.item(slot))
        fields: list[dict[str, Field]] = [{} for _ in range(rotations + 1)]
        for teacher in teachers:
            fields[rotation_of(teacher.stage)].update(label.decode_fields(teacher.item(slot), teacher.receipt.about))
        return [(own, rotated_views(cameras, job.config.project.layout, turn)) for turn, own in enumerate(fields)]

    def fuse_item(_item: Item, labellings: list[Labelling]) -> Output:
        labels = fuse_labellings(labellings, settings.height, fusion, metric=units.get("depth") == "metre")
        return Output(labels, _figures(labels))

    about = {"classes": classes, "depth_unit": units.get("depth", ""), "normals_frame": "world"}
    if rotations:
        about |= {"rotations": rotations, "work": fuse_work(rotations)}  # as plans count it
    return run_block(job, fuse_item, about, read=read, encode=partial(encode_labels, settings=settings))


def fuse_labellings(labellings: Sequence[Labelling], height: int, settings: FusionSettings, metric: bool) -> dict[str, NDArray]:
    """ERP labels from the views of all labellings of a panorama, and, where there are several, how far these agree."""
    alone = [fuse(*labelling, height, 2 * height, settings) for labelling in labellings]
    if len(alone) == 1:
        return alone[0]
    fields = {name: label.concatenate([own[name] for own, _ in labellings]) for name in labellings[0][0]}
    cameras = tuple(camera for _, own in labellings for camera in own)
    together = fuse(fields, cameras, height, 2 * height, settings)
    return together | rotation_consistency(alone, settings.consistency_scale, metric)


def _figures(labels: Mapping[str, NDArray]) -> dict[str, float]:
    shares = {name: round(float(value.mean()), 4) for name, value in labels.items() if value.dtype == bool}
    return {**shares, "views": round(float(labels["views"].mean()), 2), **consistency_figures(labels)}


def encode_labels(labels: Mapping[str, NDArray], settings: Settings) -> dict[str, NDArray]:
    """ERP labels in the dtypes of the store. Depths beyond float16's range become invalid."""
    arrays = dict(labels)
    if "depth" in arrays:
        with np.errstate(over="ignore"):
            depth = arrays["depth"].astype(settings.depth_dtype)
        arrays["depth_valid"] = arrays["depth_valid"] & np.isfinite(depth)
        arrays["depth"] = np.where(arrays["depth_valid"], depth, 0).astype(settings.depth_dtype)
    if "normals" in arrays:
        scaled = arrays["normals"] * 127 if settings.normals_dtype == "int8" else arrays["normals"]
        arrays["normals"] = (np.round(scaled) if settings.normals_dtype == "int8" else scaled).astype(settings.normals_dtype)
    return arrays


def decode_labels(arrays: Mapping[str, NDArray]) -> dict[str, NDArray]:
    """Stored ERP labels with depth and normals as float32; normals are unit vectors again where valid."""
    labels = dict(arrays)
    if "depth" in labels:
        labels["depth"] = labels["depth"].astype(np.float32)
    if "normals" in labels:
        normals = labels["normals"].astype(np.float32)
        labels["normals"] = normals / np.maximum(np.linalg.norm(normals, axis=-1, keepdims=True), 1e-6)
    return labels
