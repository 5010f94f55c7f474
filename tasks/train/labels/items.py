"""One panorama as training takes it: pixels and labels at the training size, with masks and confidences, augmented."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geometry.resampling.augment import Augmentation, augment
from storage.arrays import BlockReader, Entries
from storage.items import Item
from tasks.ingest.images.resizing import resize_image
from tasks.ingest.observed import observed_of
from tasks.ingest.panorama import Reading, load_panorama
from tasks.ingest.settings import Source
from tasks.label.fuse import decode_labels
from tasks.stage.kind import Stage
from tasks.train.labels.views import Patches, one_view

CONFIDENCES = {"depth": "depth_consistency", "normals": "normals_agreement", "semantics": "semantics_confidence"}
"""Stored as 255 times what training multiplies a pixel's loss by."""
UNJUDGED = ("depth",)
"""Tasks whose confidence is 0 where no two views judge each other: that says nothing against a pixel, which counts fully."""
CHANNELS = {"depth": 1, "normals": 3, "semantics": 1, "sky": 1}
LAND = ("depth_valid", "normals_valid", "semantics_valid")
"""Stored masks of what is known to be no sky where it is not said to be one."""
Arrays = Mapping[str, NDArray[Any]]
Derive = Callable[[Arrays], Arrays]
"""Arrays of one item, after augmentation -> more of them: ``<task>`` (H, W, C) and ``<task>_valid`` (H, W).

Among them is ``observed`` (H, W) where something was not photographed.
"""


@dataclass(frozen=True)
class ItemSettings:
    """How an item is made.

    ``height`` rows; labels of another size take the pixel that holds the direction, and are not mixed. ``confidence`` weights
    pixels by what fusion found; ``derive`` adds auxiliary labels. The labels of tasks in ``one_view`` are those of one random
    view, and the merged ones of all others.
    """

    height: int
    tasks: tuple[str, ...] = ("depth", "normals", "semantics")
    confidence: bool = True
    augmentation: Augmentation = field(default_factory=lambda: Augmentation(roll=False, mirror=False))
    derive: Derive = dict
    one_view: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if unknown := sorted(set(self.tasks) - set(CHANNELS)):
            raise ValueError(f"tasks: {', '.join(unknown)} are not stored; use some of {', '.join(CHANNELS)}")
        if foreign := sorted(set(self.one_view) - set(self.tasks)):
            raise ValueError(f"one_view: {', '.join(foreign)} are not among the tasks {', '.join(self.tasks)}")


@dataclass(frozen=True)
class StoredBlock:
    """A block of labels, opened when it is first read: a store may have many."""

    url: str
    files: Entries
    patches: Patches | None = None
    classes: int = 0
    depth_unit: str = ""

    @cached_property
    def reader(self) -> BlockReader:
        return BlockReader(self.url, self.files)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Names of its arrays, by its receipt."""
        return tuple(sorted({file.split("/")[1] for file in self.files if "/" in file} - {"zarr.json"}))


@dataclass(frozen=True)
class Place:
    """Where one item's image and labels lie; ``stage`` gave the labels."""

    item: Item
    stage: Stage
    block: StoredBlock
    slot: int

    @property
    def reading(self) -> Reading:
        """How its panorama is read."""
        settings: Reading = self.stage.panoramas.settings
        return settings

    @property
    def source(self) -> Source:
        """Where its panorama comes from, and its truth."""
        source: Source = self.stage.origin.settings.source
        return source


def training_item(place: Place, settings: ItemSettings, generator: np.random.Generator) -> dict[str, NDArray[Any]]:
    """``image`` (H, W, 3) uint8 and, for each task, ``<task>``, ``<task>_valid`` and, if wanted, ``<task>_confidence``.

    A task that the store does not have is there too, valid nowhere. Nothing is valid where the panorama was not photographed,
    nor where what is black there was mixed into the image.

    Raises
    ------
    BadItem
        The panorama is gone, changed or damaged.
    DamagedBlock, StoreError
        The labels cannot be read.
    """
    panorama = load_panorama(place.item, place.reading)
    image, observed = resize_image(panorama.pixels, settings.height), observed_of(panorama, settings.height)
    stored = place.block.reader.item(place.slot, _wanted(place.block.names, settings))
    labels = {name: resize_labels(array, settings.height) for name, array in decode_labels(stored).items()}
    if settings.one_view:
        block = place.block
        seen = one_view(block.patches, place.slot, settings.one_view, settings.height, block.classes, generator)
        labels |= _without_sky(seen, labels.get("sky"))
    known = {name: array for task in settings.tasks for name, array in _of_task(task, labels, settings).items()}
    mask = {} if observed is None else {"observed": observed}
    changed = augment({"image": image, **known, **mask}, settings.augmentation, generator)
    if observed is not None:
        changed |= {name: valid & changed["observed"] for name, valid in changed.items() if name.endswith("_valid")}
    made = {**changed, **settings.derive(changed)}
    return {name: array for name, array in made.items() if name != "observed"}


def nothing(settings: ItemSettings) -> dict[str, NDArray[Any]]:
    """An item that teaches nothing, in the place of one that cannot be read: black, and valid nowhere.

    The arrays have the shapes (H, W[, C]) and dtypes of :func:`training_item`'s.
    """
    blank = {"image": np.zeros((settings.height, 2 * settings.height, 3), np.uint8)}
    blank |= {name: array for task in settings.tasks for name, array in _of_task(task, {}, settings).items()}
    derived = settings.derive(blank)
    return {**blank, **{name: np.zeros_like(array) for name, array in derived.items()}}


def resize_labels(array: NDArray[Any], height: int) -> NDArray[Any]:
    """(height, 2 height[, C]) of the same dtype: the values of the pixels that hold the directions of the new pixels' centres."""
    if array.shape[0] == height:
        return array
    rows, columns = (((np.arange(size) + 0.5) * old / size).astype(int) for size, old in zip((height, 2 * height), array.shape))
    return array[rows[:, None], columns]


def _wanted(names: Sequence[str], settings: ItemSettings) -> tuple[str, ...]:
    """The arrays that are needed, of those that are stored."""
    wanted = {name for task in settings.tasks for name in (task, f"{task}_valid")}
    if "sky" in settings.tasks:
        wanted |= set(LAND)
    if settings.confidence:
        wanted |= {CONFIDENCES[task] for task in settings.tasks if task in CONFIDENCES}
    if settings.one_view:
        wanted = wanted - {name for task in settings.one_view for name in (task, f"{task}_valid", CONFIDENCES[task])} | {"sky"}
    return tuple(name for name in names if name in wanted)


def _without_sky(labels: Arrays, sky: NDArray[np.bool_] | None) -> dict[str, NDArray[Any]]:
    """A view does not know what the other views call sky: there, distance and normal mean nothing."""
    clear = {name: labels[name] & ~sky for name in ("depth_valid", "normals_valid") if name in labels and sky is not None}
    return {**labels, **clear}


def _of_task(task: str, labels: Arrays, settings: ItemSettings) -> dict[str, NDArray[Any]]:
    size = (settings.height, 2 * settings.height)
    if task not in labels:
        shape = size if CHANNELS[task] == 1 else (*size, CHANNELS[task])
        blank = np.zeros(shape, np.uint8 if task == "semantics" else np.float32)
        arrays = {task: blank, f"{task}_valid": np.zeros(size, bool)}
    elif task == "sky":
        masks = [labels[name] for name in LAND if name in labels]
        arrays = {task: labels[task].astype(np.float32), f"{task}_valid": np.any([labels[task], *masks], axis=0)}
    else:
        arrays = {task: labels[task], f"{task}_valid": labels[f"{task}_valid"]}
    if settings.confidence and task in CONFIDENCES:
        trust = labels.get(CONFIDENCES[task], np.full(size, 255, np.uint8))
        steps = np.where(trust == 0, 255, trust) if task in UNJUDGED else trust
        arrays[f"{task}_confidence"] = steps.astype(np.float32) / 255
    return arrays
