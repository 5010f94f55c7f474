"""One teacher looks at one patch, or at all views if it sees them at once, and what it says is put in words.

Also what its settings name that cannot be read here.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geometry.fields import Field
from geometry.resampling.patches import extract_patches
from geometry.spheres import View
from models.teachers import load_teacher, sees
from models.teachers.named_files import URL, local_path, missing_files, settings_strings
from storage.items import Item
from tasks.ingest.check import check_entry
from tasks.ingest.datasets.listing import list_entries
from tasks.ingest.panorama import load_panorama
from tasks.ingest.videos.clip import CLIP
from tasks.ingest.videos.reader import first_panorama
from tasks.label import project
from tasks.label.settings import Label
from tasks.label.teachers.licences import is_restricted, licence_of
from tasks.label.teachers.looking import look
from tasks.stage.devices import device_name, resolve_device
from tasks.stage.kind import Stage

MOST_CLASSES = 6
"""Classes of a patch that are shown, the most frequent first."""
MOST_TRIED = 5
"""Files of the source that are tried for one that can be read."""


@dataclass(frozen=True)
class Trial:
    """Seconds of ``loading`` and of ``saying``, the ``device``, what the teacher ``gives``, and its ``fields`` in words."""

    loading: float
    saying: float
    device: str
    gives: str
    fields: Mapping[str, str]


@dataclass(frozen=True)
class Shown:
    """Patches (N, h, w, 3) uint8 of a panorama, and their cameras: the first of its layout, or the ``whole`` of it."""

    item: Item
    patches: NDArray[np.uint8]
    cameras: tuple[View, ...]
    whole: bool

    @property
    def words(self) -> str:
        """What they show, for people."""
        camera = self.cameras[0]
        size = f"{camera.width} x {camera.height} pixels, {np.degrees(camera.fov):.0f} degrees"
        return f"{self.item.item}: {'all views' if self.whole else 'the first view'} of its layout, {size}"


def first_view(stage: Stage) -> Shown:
    """The first view of the first panorama that can be read, or all of its views to who sees them at once; nothing is written.

    Raises
    ------
    ValueError
        None of the first files can be read; says why.
    """
    (views,) = stage.stages("views")
    reading, reasons = stage.origin.settings, []
    whole = sees(stage.settings.kind) != "patches"
    for entry in list_entries(reading.source)[:MOST_TRIED]:
        item = check_entry(entry, reading)
        if item.reason:
            reasons.append(f"{item.item}: {item.reason}")
            continue
        cameras = project.choose_views(views.settings, item.digest)[: None if whole else 1]
        pixels = first_panorama(item) if CLIP in item.figures else load_panorama(item, reading).pixels
        return Shown(item, extract_patches(pixels, cameras, antialias=views.settings.antialias), cameras, whole)
    raise ValueError(f"no panorama of {reading.source.url} can be read: {'; '.join(reasons) or 'there is none'}")


def look_at_files(stage: Stage) -> Iterator[tuple[str, str, str]]:
    """A teacher of one's own is digested with the files that it names; one that is not there is left out in silence. Of one that
    sees a whole panorama, the licence of its weights."""
    if (licence := licence_of(stage.settings)) is not None:
        restricted = is_restricted(licence)
        advice = "labels made with these weights inherit that doubt: read the model card" if restricted else ""
        yield "warning" if restricted else "ok", f"licence of the weights: {licence}", advice
    if ":" not in stage.settings.kind:
        return
    for key, text in missing_files(stage.settings.settings):
        yield "failure", f"{key}: there is no {text}", f"put the file there, or correct settings.{key}"
    for key, text in unread_urls(stage.settings.settings):
        advice = "name what lies there by its version, or keep a copy on this machine"
        yield "warning", f"{key}: {text} is not read here, so a change of what lies there is not seen", advice


def trial(stage: Stage, device: str) -> Iterator[tuple[str, str]]:
    """Load a teacher and let it look at what :func:`first_view` gives; what it says, in words."""
    view = first_view(stage)
    yield "patch", view.words
    found = try_teacher(stage.settings, device, view)
    looked = f"{'all views' if view.whole else 'one patch'} in {found.saying:.2f} s on {found.device}"
    yield "", f"loaded in {found.loading:.2f} s, {looked}; gives {found.gives}"
    yield from found.fields.items()


def try_teacher(settings: Label, device: str, view: Shown) -> Trial:
    """Load a teacher and let it look at views, as the stage label would; raises what that would raise."""
    resolved = resolve_device(device)
    started = time.perf_counter()
    teacher = load_teacher(settings.kind, settings.settings, resolved)
    loaded = time.perf_counter()
    about = {"item": view.item.item, **view.item.metadata}
    fields = look(teacher, view.patches, view.cameras, about, settings.fields, None if view.whole else 1)
    said = time.perf_counter()
    gives = ", ".join(teacher.fields) + (f" with {len(teacher.classes)} classes" if teacher.classes else "")
    described = {name: describe(field, teacher.classes) for name, field in fields.items()}
    return Trial(loaded - started, said - loaded, device_name(resolved), gives, described)


def unread_urls(settings: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Key and text of settings that are URLs, whose contents are in no digest."""
    return ((key, text) for key, text in settings_strings(settings) if URL.match(text) and local_path(text) is None)


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
