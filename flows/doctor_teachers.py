"""What each teacher of a config says of one patch: its fields, units, ranges, classes, and how long it took."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from configs.adapt import AdaptConfig
from configs.schema import Config, TeacherSettings
from flows.doctor import Check, guarded
from geometry.cameras import Camera
from geometry.fields import Field
from geometry.resample import extract_patches
from models.teachers import load_teacher
from storage.manifest import Item
from tasks import ingest, project
from tasks.block import load_panorama
from tasks.datasets.listing import list_entries
from tasks.devices import device_name, resolve_device
from tasks.label import look

if TYPE_CHECKING:
    from models.teachers import Teacher

MOST_CLASSES = 6
"""Classes of a patch that are shown, the most frequent first."""
MOST_TRIED = 5
"""Files of the source that are tried for one that can be read."""


def check_teachers(config: Config) -> Iterator[Check]:
    """Load every teacher of a config and let it look at one view of the first panorama that can be read."""
    if isinstance(config, AdaptConfig) or not config.teachers:
        yield Check("load", "ok", "this config has no teachers")
        return
    found: list[tuple[Item, NDArray[np.uint8], Camera]] = []

    def first() -> Iterator[Check]:
        found.append(_one_view(config))
        item, patch, camera = found[0]
        seen = (
            f"{item.item}: view 1 of its layout, {patch.shape[2]} x {patch.shape[1]} pixels, {np.degrees(camera.fov):.0f} degrees"
        )
        yield Check("load: patch", "ok", seen)

    yield from guarded("load: patch", first, "the teachers were not tried; mend the source first")
    for view in found:
        for teacher in config.teachers:

            def probe(teacher: TeacherSettings = teacher, view: Any = view) -> Iterator[Check]:
                yield from _try(config, teacher, *view)

            yield from guarded(f"load: {teacher.name}", probe, f"correct the settings of teacher {teacher.name!r}")


def _one_view(config: Config) -> tuple[Item, NDArray[np.uint8], Camera]:
    """The first view of the first panorama that can be read, without writing anything."""
    reasons = []
    for entry in list_entries(config.source)[:MOST_TRIED]:
        item = ingest.check_entry(entry, config.ingest)
        if item.reason:
            reasons.append(f"{item.item}: {item.reason}")
            continue
        camera = project.choose_views(config.project, item.digest)[0]
        pixels = load_panorama(item, config).pixels
        return item, extract_patches(pixels, (camera,), antialias=config.project.antialias), camera
    raise ValueError(f"no panorama of {config.source.url} can be read: {'; '.join(reasons) or 'there is none'}")


def _try(config: Config, settings: TeacherSettings, item: Item, patch: NDArray[np.uint8], camera: Camera) -> Iterator[Check]:
    device = resolve_device(config.execution.device)
    started = time.perf_counter()
    teacher = load_teacher(settings.kind, settings.settings, device)
    loaded = time.perf_counter()
    fields = look(teacher, patch, (camera,), {"item": item.item, **item.metadata}, settings.fields, 1)
    said = time.perf_counter()
    name = f"load: {settings.name}"
    seen = f"loaded in {loaded - started:.2f} s, one patch in {said - loaded:.2f} s on {device_name(device)}"
    yield Check(name, "ok", f"{seen}; gives {', '.join(teacher.fields)}{_vocabulary(teacher)}")
    for field in fields.values():
        yield Check(f"{name}, {field.name}", "ok", describe(field, teacher.classes))


def _vocabulary(teacher: Teacher) -> str:
    return f" with {len(teacher.classes)} classes" if teacher.classes else ""


def describe(field: Field, classes: Sequence[str]) -> str:
    """A field of one patch in words: unit, share of valid pixels, and range or classes with their shares."""
    valid = field.valid
    about = f"{field.unit}, {100 * valid.mean():.0f} % valid"
    if not valid.any():
        return about
    values = field.values[valid]
    if field.name == "semantics":
        return f"{about}: {_shares(values[:, 0], classes)}; mean confidence {_confidence(field):.2f}"
    if field.name == "instances":
        table = field.tables["segment_class"]
        return f"{about}: {int((table >= 0).sum())} segments on {100 * (values > 0).mean():.0f} % of pixels"
    if field.name == "normals":
        mean = ", ".join(f"{part:+.2f}" for part in values.mean(axis=0))
        return f"{about}: mean ({mean}) in the world, where y points down"
    low, middle, high = np.percentile(values, (1, 50, 99))
    more = "; larger is nearer" if field.unit == "inverse" else ""
    return f"{about}: {low:.4g} to {high:.4g}, median {middle:.4g}{more}"


def _shares(labels: NDArray, classes: Sequence[str]) -> str:
    counts = np.bincount(labels.astype(np.int64), minlength=len(classes))
    most = np.argsort(-counts, kind="stable")[:MOST_CLASSES]
    return ", ".join(f"{classes[label]} {100 * counts[label] / len(labels):.0f} %" for label in most if counts[label])


def _confidence(field: Field) -> float:
    assert field.confidence is not None, "semantics have one"
    return float(field.confidence[field.valid][:, 0].mean())
