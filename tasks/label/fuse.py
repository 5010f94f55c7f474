"""fuse: patch labels -> ERP labels. Brings the views of all teachers together on the sphere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geometry.fusion.fuse import FusionSettings
from geometry.fusion.sky import sky_class
from geometry.surfaces.auxiliaries import derive_auxiliaries
from metrics.consistency import consistency_figures
from metrics.depth_normals import depth_normal_figures
from storage.items import Item
from storage.receipts import Receipt
from tasks.ingest.images.decode import Panorama
from tasks.ingest.observed import Observed, observed_of, partly_observed, require_observed, share
from tasks.ingest.panorama import decoded
from tasks.ingest.shared import shared_panorama
from tasks.label import instances, label
from tasks.label.auxiliaries import about_auxiliaries, encode_auxiliaries
from tasks.label.classes import FIGURE, class_shares
from tasks.label.consistency import require_consistency
from tasks.label.fits import refuse_misfit
from tasks.label.labellings import Labelling
from tasks.label.paths import fuse_path
from tasks.label.ranges import in_fours, in_steps, stored_distances, with_bits
from tasks.label.rotations import fuse_work
from tasks.label.settings import Fuse as Settings
from tasks.label.settings import StoredLabels
from tasks.label.views import Cameras
from tasks.stage.block import run_block
from tasks.stage.job import BadItem, Job, Output
from tasks.stage.joined import Joined, read_block
from tasks.stage.kind import Edge, Inputs, Kind, stages_of
from tasks.stage.upstream import Upstream

VERSION = "5"
DEPTH_BITS, STEPS = 9, 15
"""Of compact storage: bits of a distance's mantissa, which errs by 0.098 % at most, and steps of a share."""
GRADIENT = "image_gradient"
"""The auxiliary label that is made of the panorama's pixels."""

PatchLabels = tuple[list[Labelling], Panorama | None, Any]
"""All labellings of a panorama, itself where its pixels or what was photographed of it are needed, and the path's mark."""


def _says(settings: Settings, inputs: Inputs) -> dict[str, Any]:
    masks = any("instances" in teacher.settings.fields for teacher in stages_of(inputs, "labels"))
    return settings.fingerprinted(exclude=() if masks else ("instances",))


def _work(inputs: Inputs) -> int:
    return fuse_work(max((one.settings.rotation for one in stages_of(inputs, "turned")), default=0))


def _opens(settings: Settings, _inputs: Inputs) -> bool:
    return GRADIENT in settings.auxiliaries


KIND = Kind(
    "fuse",
    VERSION,
    Settings,
    {
        "views": Edge("views", many=True, read_by="labels"),
        "labels": Edge(label.PATCH_LABELS, many=True),
        "turned": Edge(label.TURNED, many=True, parts_of="labels"),
    },
    "labels",
    make="tasks.label.fuse:fuse_block",
    says=_says,
    facts=decoded,
    opens=_opens,
    fits=refuse_misfit,
    shows="tasks.label.shown:shows",
    summary="tasks.label.shown:summary",
    decode="tasks.label.values:values_of",
    work=_work,
)


def fuse_block(job: Job) -> Receipt:
    """Fuse the patch labels of every panorama of a block, on the device that teachers compute on where that can be."""
    settings: Settings = job.settings
    cameras = Cameras(job)
    read_stages = sorted([*job.stage.stages("labels"), *job.stage.stages("turned")], key=lambda stage: stage.name)
    teachers = [read_block(job, stage) for stage in read_stages]
    told = cache(partial(_told, settings, teachers))  # asked once items are there: teachers that are joined say it then
    rotations = max(teacher.stage.settings.rotation for teacher in teachers)
    path = fuse_path(job, read_stages)

    def read(slot: int, item: Item) -> PatchLabels:
        labellings: list[Labelling] = [({}, {}) for _ in range(rotations + 1)]
        for teacher in teachers:
            fields, views = labellings[teacher.stage.settings.rotation]
            fields |= (said := path.fields(teacher, slot))
            views |= dict.fromkeys(said, cameras.of(teacher.stage, slot))
        needed = GRADIENT in settings.auxiliaries or partly_observed(item)
        return labellings, shared_panorama(item, job.panoramas) if needed else None, path.taken()

    def fuse_item(_item: Item, patch_labels: PatchLabels) -> Output:
        labellings, panorama, mark = patch_labels
        said = told()
        observed = None if panorama is None else observed_of(panorama, settings.height)
        require_observed(observed)
        labels = path.fuse(labellings, settings.height, said.fusion, said.metric, observed, mark)
        labels |= distances_to_store(labels, settings, said.metric)
        if said.masks:  # of the layout's own views: an object's score is the teacher's, not a vote over labellings
            fields, views = labellings[0]
            field = instances.with_classes(fields["instances"], said.masks["classes"], said.classes)
            labels = instances.add_instances(
                labels, field, views["instances"], settings, said.things, len(said.classes), observed
            )
        require_labels(labels, observed)
        pixels = None if panorama is None else panorama.pixels
        labels |= derive_auxiliaries(settings.auxiliaries, labels, pixels, settings.depth_edge, observed)
        figures = _figures(labels, settings.depth_edge, observed) | {FIGURE: class_shares(labels, said.classes)}
        require_consistency(figures, settings.min_consistency)
        return Output(labels, figures)

    def about() -> dict[str, Any]:
        return _about(settings, told(), rotations)

    joined = [one for one in teachers if isinstance(one, Joined)]
    encode = partial(encode_labels, settings=settings)
    return run_block(job, fuse_item, about, read=read, encode=encode, device=path.device, joined=joined, path=path.name)


@dataclass(frozen=True)
class _Told:
    """What all teachers of a block say of their labels, and what follows from it for fusion."""

    classes: list[str]
    masks: Mapping[str, Any] | None
    things: Sequence[int] | None
    unit: str
    fusion: FusionSettings

    @property
    def metric(self) -> bool:
        return self.unit == "metre"


def _told(settings: Settings, teachers: Sequence[Upstream | Joined]) -> _Told:
    said = [teacher.about for teacher in teachers]
    classes: list[str] = next((one["classes"] for one in said if "semantics" in one["fields"]), [])
    masks = next((one for one in said if "instances" in one["fields"]), None)
    if masks:
        classes = instances.joint_classes(classes, masks["classes"])
    things = instances.thing_labels(settings, masks.get("thing_classes"), classes) if masks else None
    units = {name: tags["unit"] for one in said for name, tags in one["fields"].items()}
    return _Told(classes, masks, things, units.get("depth", ""), fusion_settings(settings, classes))


def _about(settings: Settings, told: _Told, rotations: int) -> dict[str, Any]:
    """What the receipt says of the labels to later stages."""
    unit = fused_unit(told.unit)
    about: dict[str, Any] = {"classes": list(told.classes), "depth_unit": unit, "normals_frame": "world"}
    about |= about_auxiliaries(settings.auxiliaries, unit)
    if told.things is not None:
        about["thing_classes"] = [told.classes[label] for label in told.things]
    if rotations:
        about |= {"rotations": rotations, "work": fuse_work(rotations)}  # as plans count it
    return about


def fused_unit(unit: str) -> str:
    """The unit of fused distances, from the teacher's: up to one factor whether its views had one, each its own, or inverses."""
    return "scale" if unit in ("inverse", "shared") else unit


def fusion_settings(settings: Settings, classes: Sequence[str]) -> FusionSettings:
    """The config's settings for labels of a vocabulary."""
    return FusionSettings(
        off_axis_power=settings.off_axis_power,
        edge_feather=settings.edge_feather,
        depth=settings.depth,
        depth_edge=settings.depth_edge,
        enforce_normals=settings.depth_normal == "enforce",
        consistency_scale=settings.consistency_scale,
        classes=len(classes) or 256,
        sky_class=sky_class(classes),
    )


def distances_to_store(labels: Mapping[str, NDArray], settings: StoredLabels, metric: bool) -> dict[str, NDArray]:
    """The depth of ERP labels as it is told and kept, if there is any: valid only where its type in the store can hold it.

    ``depth`` (H, W) float32, ``depth_valid`` (H, W) bool and the ``depth_*consistency`` (H, W) uint8 that there are.

    Without a scale its median is made 1: what the views' alignment settled on means nothing, and may be any number.
    """
    if "depth" not in labels:
        return {}
    depth, valid = labels["depth"], labels["depth_valid"]
    if not metric and valid.any():
        depth = depth / np.median(depth[valid])
    _, valid = stored_distances(depth, valid, settings.depth_dtype)
    kept = {"depth": np.where(valid, depth, 0).astype(np.float32), "depth_valid": valid}
    names = [name for name in labels if name.startswith("depth_") and name.endswith("consistency")]
    return kept | {name: np.where(valid, labels[name], 0).astype(np.uint8) for name in names}


def require_labels(labels: Mapping[str, NDArray], observed: Observed) -> None:
    """Raises BadItem if a panorama that was photographed in part has no valid label."""
    masks = [mask for name, mask in labels.items() if name.endswith("_valid")]
    if observed is not None and masks and not any(mask.any() for mask in masks):
        raise BadItem(f"no label is valid in the {observed.mean():.2%} of its pixels that were photographed")


def _figures(labels: Mapping[str, NDArray], depth_edge: float, observed: Observed) -> dict[str, Any]:
    """Shares and means of what was photographed."""
    dense = {name: value for name, value in labels.items() if value.dtype == bool and value.shape == labels["views"].shape}
    shares = {name: share(value, observed) for name, value in dense.items()} | depth_normal_figures(labels, depth_edge)
    shares |= consistency_figures(labels)
    counts = instances.instance_figures(labels) if "instances" in labels else {}
    rounded = {name: round(value, 4) for name, value in shares.items()}
    return {**rounded, **counts, "views": round(share(labels["views"], observed), 2)}


def encode_labels(labels: Mapping[str, NDArray], settings: StoredLabels) -> dict[str, NDArray]:
    """ERP labels (H, W[, C]) in the dtypes of the store. Depths beyond float16's range become invalid."""
    arrays = encode_auxiliaries(labels)
    if settings.storage == "compact":
        arrays |= compacted(arrays, settings.depth_dtype)
    if "depth" in arrays:
        arrays["depth"], arrays["depth_valid"] = stored_distances(arrays["depth"], arrays["depth_valid"], settings.depth_dtype)
    if "normals" in arrays:
        scaled = arrays["normals"] * 127 if settings.normals_dtype == "int8" else arrays["normals"]
        arrays["normals"] = (np.round(scaled) if settings.normals_dtype == "int8" else scaled).astype(settings.normals_dtype)
    return instances.with_room(arrays, settings) if isinstance(settings, Settings) and "instances" in arrays else arrays


def compacted(labels: Mapping[str, NDArray], depth_dtype: str) -> dict[str, NDArray]:
    """Those of ERP labels that compact storage rounds, rounded: distances that become float16, and shares of 255."""
    found: dict[str, NDArray] = {}
    for name, array in labels.items():
        if name == "depth" and depth_dtype == "float16":
            found[name] = with_bits(array, DEPTH_BITS)
        elif name == "semantics_confidence":
            found[name] = in_steps(array, STEPS)
        elif name == "normals_agreement" or name.endswith("_consistency"):
            found[name] = in_fours(array, STEPS)
    return found


def decode_labels(arrays: Mapping[str, NDArray]) -> dict[str, NDArray]:
    """Stored ERP labels (H, W[, C]) with depth and normals as float32; normals are unit vectors again where valid."""
    labels = instances.without_room(arrays) if "instances" in arrays else dict(arrays)
    if "depth" in labels:
        labels["depth"] = labels["depth"].astype(np.float32)
    if "normals" in labels:
        normals = labels["normals"].astype(np.float32)
        labels["normals"] = normals / np.maximum(np.linalg.norm(normals, axis=-1, keepdims=True), 1e-6)
    return labels
