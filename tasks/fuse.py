"""fuse: patch labels -> ERP labels. Brings the views of all teachers together on the sphere."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import numpy as np
from numpy.typing import NDArray

from configs.schema import Config
from configs.schema import Fuse as Settings
from geometry.auxiliaries import derive_auxiliaries
from geometry.cameras import Camera
from geometry.fields import Field
from geometry.fusion import FusionSettings, fuse
from metrics.depth_normals import depth_normal_figures
from storage.fingerprint import Identity
from storage.manifest import Item
from storage.receipts import Receipt
from tasks import label, project
from tasks.auxiliaries import about_auxiliaries, encode_auxiliaries
from tasks.block import Job, Output, Upstream, load_panorama, run_block

VERSION = "3"
PatchLabels = tuple[dict[str, Field], tuple[Camera, ...], NDArray[np.uint8] | None]  # and the panorama, where it is needed


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
        enforce_normals=settings.depth_normal == "enforce",
        consistency_scale=settings.consistency_scale,
        classes=len(classes) or 256,
        sky_class=sky[0] if sky else None,
    )

    def read(slot: int, item: Item) -> PatchLabels:
        fields: dict[str, Field] = {}
        for teacher in teachers:
            fields.update(label.decode_fields(teacher.item(slot), teacher.receipt.about))
        panorama = load_panorama(item, job.config) if "image_gradient" in settings.auxiliaries else None
        return fields, project.decode_cameras(views.item(slot)), panorama

    def fuse_item(_item: Item, patch_labels: PatchLabels) -> Output:
        fields, cameras, panorama = patch_labels
        labels = fuse(fields, cameras, settings.height, 2 * settings.height, fusion)
        labels |= derive_auxiliaries(settings.auxiliaries, labels, panorama, settings.depth_edge)
        return Output(labels, _figures(labels, settings.depth_edge))

    units = {name: tags["unit"] for t in teachers for name, tags in t.receipt.about["fields"].items()}
    about = {"classes": classes, "depth_unit": units.get("depth", ""), "normals_frame": "world"}
    about |= about_auxiliaries(settings.auxiliaries, about["depth_unit"])
    return run_block(job, fuse_item, about, read=read, encode=partial(encode_labels, settings=settings))


def _figures(labels: Mapping[str, NDArray], depth_edge: float) -> dict[str, float]:
    shares = {name: float(value.mean()) for name, value in labels.items() if value.dtype == bool}
    shares |= depth_normal_figures(labels, depth_edge)
    return {name: round(value, 4) for name, value in shares.items()} | {"views": round(float(labels["views"].mean()), 2)}


def encode_labels(labels: Mapping[str, NDArray], settings: Settings) -> dict[str, NDArray]:
    """ERP labels in the dtypes of the store. Depths beyond float16's range become invalid."""
    arrays = encode_auxiliaries(labels)
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
