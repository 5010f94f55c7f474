"""label: views -> patch labels. One teacher looks at every view of a panorama and says what it sees."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache, partial
from typing import Any

from geometry.observed import observed_in_patches
from geometry.resampling.patches import extract_patches
from geometry.spheres import View
from models.teachers import Teacher, facts_read, load_teacher, sees, weights_digest
from models.teachers.vocabularies import things_of
from storage.items import Item
from storage.receipts import Receipt
from tasks.ingest.observed import partly_observed, share
from tasks.ingest.panorama import DECODED, Reading
from tasks.ingest.shared import shared_panorama
from tasks.label import project
from tasks.label.arrays import encode_fields
from tasks.label.rotations import rotated_views
from tasks.label.settings import Label as Settings
from tasks.label.teachers.asking import refuse_unfit_views
from tasks.label.teachers.licences import licence_of
from tasks.label.teachers.looking import Patches, look_at_observed
from tasks.stage.block import make_items
from tasks.stage.devices import device_name, resolve_device
from tasks.stage.job import Job, Output
from tasks.stage.kind import Edge, Facts, Inputs, Kind, Part, stages_of
from tasks.stage.making import Making
from tasks.stage.upstream import Upstream

VERSION = "2"
EXECUTION_ONLY = ("batch_size",)
"""Settings of a teacher that cannot change what it says."""


PATCH_LABELS, TURNED = "patch labels", "turned patch labels"


def _says(settings: Settings, _inputs: Inputs) -> dict[str, Any]:
    said = settings.fingerprinted()
    said["settings"] = {key: value for key, value in said["settings"].items() if key not in EXECUTION_ONLY}
    return said


def _weights(settings: Settings, inputs: Inputs) -> dict[str, str]:
    refuse_unfit_views(settings, inputs)
    return {"{key}": weights_digest(settings.kind, settings.settings)}


def _facts(settings: Settings, _inputs: Inputs) -> Facts:
    return (*DECODED, *facts_read(settings.kind))


def _opens(settings: Settings, inputs: Inputs) -> bool:
    return settings.rotation > 0 or not all(one.settings.keep_pixels for one in stages_of(inputs, "views"))


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
    joins="tasks.label.label:labelling",
    says=_says,
    weights=_weights,
    facts=_facts,
    opens=_opens,
    like=_own_key,
    notes="tasks.label.teachers.licences:notes",
    looks="tasks.label.teachers.trial:look_at_files",
    tries="tasks.label.teachers.trial:trial",
    shows="tasks.label.teachers.licences:shows",
    decode="tasks.label.arrays:values_of",
)
TURNED_VIEWS = replace(VIEWS, gives=TURNED)
"""The same through turned views, which only ``fuse`` reads."""


def label_block(job: Job) -> Receipt:
    """Label every view of every panorama of a block with one teacher, the views turned if the stage is a rotation."""
    return make_items(job, labelling(job))


def labelling(job: Job) -> Making:
    """How :func:`label_block` makes its items, one by one."""
    settings: Settings = job.settings
    rotation, project_settings = settings.rotation, job.input("views").settings
    device = resolve_device(job.execution.device)
    batch_size = settings.settings.get("batch_size", job.execution.batch_size) if sees(settings.kind) == "patches" else None
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
        notes = {name: round(value, 6) for field in fields.values() for name, value in field.notes.items()}
        return Output(fields, notes | {f"{name}_valid": round(share(f.valid, patches.observed), 4) for name, f in fields.items()})

    def label_there(_item: Item, patches: Patches) -> Output:
        from tasks.label.teachers import staying  # torch, which plans need not load

        fields = staying.look_on_device(teacher(), patches, settings.fields, batch_size)
        told.update({name: {"unit": f.unit, "frame": staying.CANONICAL.get(name, f.frame)} for name, f in fields.items()})
        return Output(fields, {f"{name}_valid": round(staying.valid_share(f, patches.observed), 4) for name, f in fields.items()})

    weights = dict.fromkeys(job.identity.weights, weights_digest(settings.kind, settings.settings))
    about = partial(_about, settings, teacher, told)
    stays = label_there if not job.all_copied and hasattr(teacher(), "on_device") else None
    return Making(label_item, about, weights, read, encode_fields, device_name(device), stays)


def _about(settings: Settings, load: Callable[[], Teacher], fields: Mapping[str, Any]) -> dict[str, Any]:
    """What the receipt says of patch labels: classes, and the unit and frame of each field."""
    teacher = load()
    about: dict[str, Any] = {"classes": list(teacher.classes), "fields": dict(fields)}
    about |= {"licence": licence} if (licence := licence_of(settings)) is not None else {}
    things = getattr(teacher, "thing_classes", None)
    if things is None:
        things = things_of(teacher.classes)
    return about if things is None else about | {"thing_classes": list(things)}


def cut_patches(item: Item, reading: Reading, antialias: bool, cameras: tuple[View, ...]) -> Patches:
    """The patches of a panorama's views. BadItem if its file is gone, changed or damaged."""
    panorama = shared_panorama(item, reading)
    seen = None if panorama.observed.all() else observed_in_patches(panorama.observed, cameras, antialias)
    return Patches(extract_patches(panorama.pixels, cameras, antialias=antialias), cameras, seen)
