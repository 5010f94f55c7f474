"""Kind ``files``: equirectangular predictions that somebody made elsewhere, as a teacher that sees the panorama at once."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geometry.fields import Field
from geometry.resampling.patches import extract_nearest
from geometry.spheres import Sphere
from models.teachers.base import Teacher, WantedViews
from models.teachers.panoramic.predictions import ITEM, LABELS, FilesSettings, Name, PredictedFile, predictions_folder
from models.teachers.panoramic.reading import read_map
from models.teachers.settings import parse

WORLD = {"x": 0, "y": 1, "z": 2}


class Predicted(Mapping[str, Field]):
    """The fields of one panorama; a file is read when its field is asked for, and CannotLabel then says what is wrong with it."""

    def __init__(self, readers: Mapping[str, Callable[[], Field]]) -> None:
        self._readers = readers

    def __getitem__(self, name: str) -> Field:
        return self._readers[name]()

    def __iter__(self) -> Iterator[str]:
        return iter(self._readers)

    def __len__(self) -> int:
        return len(self._readers)


@dataclass(frozen=True)
class FilesTeacher:
    """Says what the files say, at the size of the view: the nearest pixel of theirs, for neither depth nor classes are mixed."""

    folder: Path
    settings: FilesSettings
    classes: tuple[str, ...]
    depth_unit: str

    @property
    def fields(self) -> tuple[str, ...]:
        return tuple(self.settings.files)

    def __call__(self, patches: NDArray[np.uint8], cameras: Sequence[Sphere], item: Mapping[str, object]) -> Mapping[str, Field]:
        def reader(name: Name, file: PredictedFile) -> Callable[[], Field]:
            return lambda: self._field(name, file, cameras, str(item["item"]))

        return Predicted({name: reader(name, file) for name, file in self.settings.files.items()})

    def _field(self, name: Name, file: PredictedFile, cameras: Sequence[Sphere], item: str) -> Field:
        values = extract_nearest(read_map(self.folder / file.path.replace(ITEM, item), file.key), cameras)
        if name == "depth":
            return self._depth(values.astype(np.float32) * np.float32(file.factor), file)
        if name == "normals":
            normals = in_world(values, file.axes)
            told: NDArray[np.bool_] = np.asarray(np.isfinite(normals).all(axis=-1))
            return Field(name, normals, told, "unit", "world")
        if name == "sky":
            share = values / np.iinfo(values.dtype).max if np.issubdtype(values.dtype, np.integer) else values
            return Field(name, share.astype(np.float32), np.isfinite(np.asarray(share)), "probability")
        known = np.asarray(values < len(self.classes))
        labels = np.where(known, values, 0).astype(np.uint16)[..., None]
        return Field(name, labels, known, "class", confidence=np.ones(labels.shape, np.float32))

    def _depth(self, depth: NDArray[np.float32], file: PredictedFile) -> Field:
        limit = np.inf if file.below is None else file.below
        valid: NDArray[np.bool_] = (depth > 0) & (depth < limit)
        return Field("depth", depth, valid, file.unit or self.depth_unit, "ray")


def in_world(values: NDArray[Any], axes: str) -> NDArray[np.float32]:
    """Normals (N, H, W, 3) with x right, y down and z forward, of channels along ``axes``; whole numbers are from -1 to 1."""
    if np.issubdtype(values.dtype, np.integer):
        values = values / np.iinfo(values.dtype).max * 2 - 1
    world = np.empty(values.shape, np.float32)
    for channel, (sign, axis) in enumerate(zip(axes[::2], axes[1::2], strict=True)):
        world[..., WORLD[axis]] = values[..., channel] if sign == "+" else -values[..., channel]
    return world


def load(settings: Mapping[str, Any], device: str) -> Teacher:
    """A teacher of the files in a folder; see :class:`~models.teachers.panoramic.predictions.FilesSettings`.

    Raises
    ------
    ValueError
        A setting is wrong, or nothing names the classes.
    FileNotFoundError
        There is no such folder.
    """
    parsed = parse(FilesSettings, settings, "files")
    folder = predictions_folder(parsed)
    told = json.loads((folder / LABELS).read_text()) if parsed.layout == "panolabel" and (folder / LABELS).is_file() else {}
    classes = parsed.classes or tuple(told.get("classes", ()))
    return FilesTeacher(folder, parsed, classes, {"scale": "shared"}.get(told.get("depth_unit", ""), "metre"))


def wanted_views(settings: Mapping[str, Any]) -> WantedViews:
    """Any view of the whole sphere, but none that is turned: what was said once would be said again."""
    return WantedViews(turns=False)
