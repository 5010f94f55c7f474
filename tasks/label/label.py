"""label: views -> patch labels. One teacher looks at every view of a panorama and says what it sees."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geometry.cameras import Camera
from geometry.fields import Field, canonical, spread, where_observed
from geometry.observed import observed_in_patches
from geometry.resampling.patches import extract_patches
from models.teachers import CannotLabel, Teacher, facts_read, load_teacher, weights_digest
from models.teachers.vocabularies import things_of
from storage.manifest import Item
from storage.receipts import Receipt
from tasks.ingest.observed import Observed, partly_observed, share
from tasks.ingest.panorama import DECODED, Reading, load_panorama
from tasks.label import project
from tasks.label.arrays import encode_fields
from tasks.label.rotations import rotated_views
from tasks.label.settings import Label as Settings
from tasks.stage.block import run_block
from tasks.stage.devices import OutOfMemory, device_name, free_memory, is_out_of_memory, resolve_device
from tasks.stage.job import BadItem, Job, Output
from tasks.stage.kind import Edge, Facts, Inputs, Kind, Part
from tasks.stage.upstream import Upstream

VERSION = "2"
EXECUTION_ONLY = ("batch_size",)
"""Settings of a teacher that cannot change what it says."""


@dataclass(frozen=True)
class Patches:
    """What the N views of a panorama show: ``pixels`` (N, h, w, 3) uint8, and which of them were photographed, (N, h, w) bool."""

    pixels: NDArray[np.uint8]
    cameras: tuple[Camera, ...]
    observed: Observed = None


PATCH_LABELS, TURNED = "patch labels", "turned patch labels"


def _says(settings: Settings, _inputs: Inputs) -> dict[str, Any]:
    said = settings.fingerprinted()
    said["settings"] = {key: value for key, value in said["settings"].items() if key not in EXECUTION_ONLY}
    return said


def _weights(settings: Settings, _inputs: Inputs) -> dict[str, str]:
    return {"{key}": weights_digest(settings.kind, settings.settings)}


def _facts(settings: Settings, _inputs: Inputs) -> Facts:
    return (*DECODED, *facts_read(settings.kind))


def _parts(settings: Settings, named: Mapping[str, Any]) -> list[Part]:
    """The teacher's own stage, and one more for each of ``rotations``: not for instances alone, which come from the first."""
    rotations = 0 if set(settings.fields) == {"instances"} else settings.rotations
    said = settings.model_dump(mode="json", exclude={"rotations", "rotation"}) | {"settings": settings.settings}
    own = [] if settings.rotation else [Part("", "label.views", said, named)]
    turned = [Part(f"rotation{turn}", "label.turned", {**said, "rotation": turn}, named) for turn in range(1, rotations + 1)]
    return [*own, *turned]


def _own_key(settings: Settings, key: str) -> str:
    return key.partition(".")[0] if settings.rotation else ""


KIND = Kind("label", VERSION, Settings, {"views": Edge("views")}, PATCH_LABELS, expand=_parts)
"""What a config says of one teacher: a stage for the layout's own views, and one for each turn of them."""
VIEWS = Kind(
    "label.{key}",
    VERSION,
    Settings,
    {"views": Edge("views")},
    PATCH_LABELS,
    make="tasks.label.label:label_block",
    says=_says,
    weights=_weights,
    facts=_facts,
    droppable=True,
    like=_own_key,
    looks="tasks.label.teacher_trial:look_at_files",
    tries="tasks.label.teacher_trial:trial",
    decode="tasks.label.arrays:values_of",
)
TURNED_VIEWS = replace(VIEWS, gives=TURNED)
"""The same through turned views, which only ``fuse`` reads."""


def label_block(job: Job) -> Receipt:
    """Label every view of every panorama of a block with one teacher, the views turned if the stage is a rotation."""
    settings: Settings = job.settings
    rotation, project_settings = settings.rotation, job.input("views").settings
    device = resolve_device(job.execution.device)
    batch_size = settings.settings.get("batch_size", job.execution.batch_size)
    teacher = cache(partial(load_teacher, settings.kind, settings.settings, device))
    if not job.all_copied:
        teacher()  # before any item is in hand: a teacher that kills its process is no item's fault
    views, told = Upstream(job, job.input("views")), {}

    def read(slot: int, item: Item) -> Patches:
        stored = views.item(slot)
        cameras = rotated_views(project.decode_cameras(stored), project_settings.layout, rotation)
        if "pixels" in stored and not rotation and not partly_observed(item):
            return Patches(stored["pixels"], cameras)
        return cut_patches(item, job.panoramas, project_settings.antialias, cameras)

    def label_item(item: Item, patches: Patches) -> Output:
        fields = look_at_observed(teacher(), patches, {"item": item.item, **item.metadata}, settings.fields, batch_size)
        told.update({name: {"unit": field.unit, "frame": field.frame} for name, field in fields.items()})
        return Output(fields, {f"{name}_valid": round(share(f.valid, patches.observed), 4) for name, f in fields.items()})

    weights = dict.fromkeys(job.identity.weights, weights_digest(settings.kind, settings.settings))
    return run_block(job, label_item, lambda: _about(teacher(), told), weights, read, encode_fields, device_name(device))


def _about(teacher: Teacher, fields: Mapping[str, Any]) -> dict[str, Any]:
    """What the receipt says of patch labels: classes, and the unit and frame of each field."""
    about: dict[str, Any] = {"classes": list(teacher.classes), "fields": dict(fields)}
    things = getattr(teacher, "thing_classes", None)
    if things is None:
        things = things_of(teacher.classes)
    return about if things is None else about | {"thing_classes": list(things)}


def cut_patches(item: Item, reading: Reading, antialias: bool, cameras: tuple[Camera, ...]) -> Patches:
    """The patches of a panorama's views. BadItem if its file is gone, changed or damaged."""
    panorama = load_panorama(item, reading)
    seen = None if panorama.observed.all() else observed_in_patches(panorama.observed, cameras, antialias)
    return Patches(extract_patches(panorama.pixels, cameras, antialias=antialias), cameras, seen)


def look_at_observed(
    teacher: Teacher, patches: Patches, item: Mapping[str, object], wanted: tuple[str, ...], batch_size: int
) -> dict[str, Field]:
    """:func:`look`, valid only where something was photographed; views that show nothing of it are not looked at.

    Raises
    ------
    BadItem
        No view shows anything that was photographed, or a field is valid nowhere there.
    """
    observed = patches.observed
    if observed is None:
        return look(teacher, patches.pixels, patches.cameras, item, wanted, batch_size)
    shown: NDArray[np.bool_] = np.any(observed, axis=(1, 2))
    if not shown.any():
        raise BadItem("no view shows a pixel that was photographed: too little of the sphere was")
    cameras = tuple(camera for camera, there in zip(patches.cameras, shown, strict=True) if there)
    said = look(teacher, patches.pixels[shown], cameras, item, wanted, batch_size)
    fields = {name: where_observed(spread(field, shown), observed) for name, field in said.items()}
    for name, field in fields.items():
        if not field.valid.any():
            raise BadItem(f"the teacher's {name} has no valid pixel where the panorama was photographed")
    return fields


def look(
    teacher: Teacher,
    pixels: NDArray[np.uint8],
    cameras: tuple[Camera, ...],
    item: Mapping[str, object],
    wanted: tuple[str, ...],
    batch_size: int,
) -> dict[str, Field]:
    """All wanted fields of one panorama's patches, canonical, computed in batches.

    Parameters
    ----------
    pixels : (N, h, w, 3) uint8
    cameras : N cameras
    item : the panorama's name and capture metadata

    Raises
    ------
    BadItem
        The teacher says that it cannot label this panorama, or a field has no valid pixel in any view.
    OutOfMemory
        Half a batch is too much for the device too.
    ValueError
        The teacher does not give a wanted field.
    """
    batches = _halving_once(partial(_look_in_batches, teacher, pixels, cameras, item, wanted), batch_size)
    fields = {name: concatenate([batch[name] for batch in batches]) for name in wanted}
    for name, field in fields.items():
        if not field.valid.any():
            raise BadItem(f"the teacher's {name} has no valid pixel in any view (not finite, or all sky)")
    return fields


def _look_in_batches(
    teacher: Teacher,
    pixels: NDArray[np.uint8],
    cameras: tuple[Camera, ...],
    item: Mapping[str, object],
    wanted: tuple[str, ...],
    batch_size: int,
) -> list[dict[str, Field]]:
    batches = []
    for start in range(0, len(cameras), batch_size):
        some = cameras[start : start + batch_size]
        try:
            said = teacher(pixels[start : start + batch_size], some, item)
        except CannotLabel as error:
            raise BadItem(str(error)) from error
        missing = set(wanted) - set(said)
        if missing:
            raise ValueError(f"the teacher does not give {sorted(missing)}, only {sorted(said)}; change its `fields`")
        for name in wanted:
            check_said(said[name], some, getattr(teacher, "classes", None))
        batches.append({name: canonical(said[name], some) for name in wanted})
    return batches


def check_said(field: Field, cameras: Sequence[Camera], classes: Sequence[str] | None) -> None:
    """That a teacher's field lies over its patches, and names no class that is not in its vocabulary.

    Raises
    ------
    ValueError
        It does not; what it says elsewhere would be taken for another place, or another class.
    """
    expected = (len(cameras), cameras[0].height, cameras[0].width)
    if field.values.shape[:3] != expected:
        raise ValueError(
            f"the teacher's {field.name} has the shape {field.values.shape}, but its patches are {expected}; give an answer "
            "of the patches' own size"
        )
    if classes is None:
        return
    if field.name == "semantics":
        numbers = field.values[field.valid]
    elif field.name == "instances":
        numbers = field.tables.get("segment_class", np.empty(0, np.int32))
    else:
        return
    if numbers.size and int(numbers.max()) >= len(classes):
        raise ValueError(
            f"the teacher's {field.name} says class {int(numbers.max())}, but its vocabulary names {len(classes)} (0 to "
            f"{len(classes) - 1}); name every class, in the order of their numbers"
        )


def _halving_once(look: Callable[[int], list[dict[str, Field]]], batch_size: int) -> list[dict[str, Field]]:
    """``look`` with the batch size, or half of it where the device's memory is too small; OutOfMemory if that is too much too."""
    for patches in (batch_size, max(1, batch_size // 2)):
        try:
            return look(patches)
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            free_memory()
    raise OutOfMemory(
        f"the device ran out of memory with {max(1, batch_size // 2)} patches at a time; lower execution.batch_size or "
        "project.patch_size"
    )


def concatenate(parts: list[Field]) -> Field:
    """One field over the views of all parts; confidence only if all have it."""
    first = parts[0]
    if len(widths := {table.shape[1:] for part in parts for table in part.tables.values()}) > 1:
        raise ValueError(
            f"{first.name}: tables must be equally wide in every call of a teacher, got {sorted(widths)}; pad with -1"
        )
    confidences = [part.confidence for part in parts if part.confidence is not None]
    return Field(
        first.name,
        np.concatenate([part.values for part in parts]),
        np.concatenate([part.valid for part in parts]),
        first.unit,
        first.frame,
        np.concatenate(confidences) if len(confidences) == len(parts) else None,
        {name: np.concatenate([part.tables[name] for part in parts]) for name in first.tables},
    )
