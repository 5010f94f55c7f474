"""Finished labels in three dimensions, whether teachers or a student made them: points, surfaces, and projects with poses.

Each panorama is a file of its own, about its camera; or several become one model, each where its metadata says that it stood.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from configs.pipeline import Config
from configs.settings import ConfigError
from flows.stores.finished import Finished, finished_labels
from flows.stores.items import nearest_item
from storage.addresses import AddressError
from storage.arrays import BlockReader
from storage.items import Item
from storage.retries import StoreError
from storage.urls import join, location, write_bytes
from tasks.ingest.panorama import Reading, load_panorama
from tasks.label.fuse import decode_labels
from tasks.solids.faces import plain_name
from tasks.solids.formats import FEW_POINTS, FORMATS, MAX_INCIDENCE, NEEDS, PROJECTS
from tasks.solids.poses import Pose, pose_of
from tasks.solids.scans import Scan
from tasks.stage.job import BadItem

GREY = 128
NEEDED = ("depth", "depth_valid", "normals", "normals_valid", "semantics", "semantics_valid")


@dataclass(frozen=True)
class Solids:
    """How labels are written.

    ``to`` is an ending of files, or a project: see :mod:`tasks.solids.formats`. ``max_incidence``, in degrees, is the most
    obliquely that a surface may be seen: steeper steps of distance are tears. ``most`` is about how many points a panorama makes;
    without it one a pixel, or as many as a project wants. ``together``: all panoramas become one model.

    Raises
    ------
    ConfigError
        There is no such format, its library is not there, or a value has no meaning.
    """

    to: str = "ply"
    max_incidence: float = MAX_INCIDENCE
    most: int | None = None
    together: bool = False

    def __post_init__(self) -> None:
        known = [*FORMATS, *PROJECTS]
        if self.to not in known:
            raise ConfigError(f"{self.to}: points, surfaces and projects are written as {', '.join(known)}")
        if self.to in NEEDS and find_spec(NEEDS[self.to][0]) is None:
            raise ConfigError(f"{self.to} needs {NEEDS[self.to][0]}; install it with: pip install '{NEEDS[self.to][1]}'")
        if not 0 < self.max_incidence <= 90:
            raise ConfigError(f"--max-incidence {self.max_incidence:g}: surfaces are seen at 0 to 90 degrees; 90 tears nothing")
        if self.most is not None and self.most < 1:
            raise ConfigError(f"--max-points {self.most}: must be at least 1")

    @property
    def one_model(self) -> bool:
        """Whether all panoramas go into one frame."""
        return self.together or self.to in PROJECTS


@dataclass
class _Written:
    """What came of it, so far."""

    skipped: dict[str, str] = field(default_factory=dict)
    grey: set[str] = field(default_factory=set)
    items: list[str] = field(default_factory=list)


def write_points(
    config: Config,
    folder: str,
    how: Solids,
    names: Sequence[str] = (),
    allow_incomplete: bool = False,
    stage: str | None = None,
) -> dict[str, Any]:
    """Write the panoramas that are named, or all: ``folder/<item>.<to>``, ``folder/<name of the config>.<to>`` if they are to be
    together, or a project in ``folder``.

    Returns
    -------
    dict
        ``files`` with their paths and numbers of points or triangles, and ``skipped``: item -> reason.

    Raises
    ------
    ConfigError
        An item is named that there is not; or several are to be one model, and it is not known where one stood, or how large it
        is; or the model does not fit its format.
    NotFinished
        Labels are owed, and ``allow_incomplete`` is false.
    """
    finished = finished_labels(config, allow_incomplete, need_source=False, stage=stage)
    known = [item.item for item, _ in finished.rows()]
    for name in names:
        if name not in known:
            raise ConfigError(f"item {name!r} has no place in {config.root}; {nearest_item(name, known, 'items with labels')}")
    told = _Written()
    poses = _poses(finished, names) if how.one_model else {}
    scans = _scans(finished, names, how, poses, told)
    try:
        files = _together(scans, folder, config.name, how, told) if how.one_model else _each(scans, folder, how.to, told)
    except BadItem as error:
        raise ConfigError(f"--to {how.to}: the model {error}") from error
    return {"files": files, "skipped": told.skipped}


def _each(scans: Iterator[Scan], folder: str, to: str, told: _Written) -> list[dict[str, Any]]:
    files = []
    for scan in scans:
        try:
            data, counts = FORMATS[to]([scan])
        except BadItem as error:
            told.skipped[scan.item] = str(error)
            continue
        file = join(folder, f"{scan.item}.{to}")
        write_bytes(file, data)
        files.append({"item": scan.item, "file": location(file), **counts, "coloured": scan.item not in told.grey})
    return files


def _together(scans: Iterator[Scan], folder: str, name: str, how: Solids, told: _Written) -> list[dict[str, Any]]:
    first = next(scans, None)
    if first is None:
        return []
    counts: dict[str, int] = {}
    every = _from_first(first, scans)
    if how.to in PROJECTS:
        file = folder
        for path, data, more in PROJECTS[how.to](every):
            write_bytes(join(folder, path), data)
            counts |= {what: counts.get(what, 0) + number for what, number in more.items()}
    else:
        file = join(folder, f"{name}.{how.to}")
        data, counts = FORMATS[how.to](every)
        write_bytes(file, data)
    return [{"items": told.items, "file": location(file), **counts, "coloured": not told.grey}]


def _from_first(first: Scan, others: Iterator[Scan]) -> Iterator[Scan]:
    yield first
    yield from others


def _scans(finished: Finished, names: Sequence[str], how: Solids, poses: Mapping[str, Pose], told: _Written) -> Iterator[Scan]:
    """The panoramas that make a surface, one by one; the others are told."""
    most = how.most or (FEW_POINTS if how.to in PROJECTS else None)
    plain = Scan("", {}, np.zeros((0, 0, 3), np.uint8), math.radians(how.max_incidence), most=most)
    plain = replace(plain, classes=tuple(finished.about.get("classes", ())))
    for url, block, receipt in finished.blocks:
        for slot, item, row in finished.of_block(block, receipt):
            if names and item.item not in names:
                continue
            try:
                if row.state != "done":
                    raise BadItem(row.reason)
                reader = BlockReader(url, receipt.files)
                labels = decode_labels(reader.item(slot, tuple(name for name in NEEDED if name in reader.names) or None))
                image, coloured = _picture(item, finished.stage.panoramas.settings)
                scan = replace(plain, item=item.item, labels=labels, image=image, pose=poses.get(item.item, Pose()))
                _ = scan.kept  # a panorama without a surface must not end a model
            except BadItem as error:
                told.skipped[item.item] = str(error)
                continue
            told.items.append(item.item)
            told.grey |= set() if coloured else {item.item}
            yield scan


def _poses(finished: Finished, names: Sequence[str]) -> dict[str, Pose]:
    """Of all panoramas of a model; one alone may stand anywhere."""
    wanted = [item for item, row in finished.rows() if row.state == "done" and (not names or item.item in names)]
    found: dict[str, Pose | None] = {}
    for item in wanted:
        try:
            found[item.item] = pose_of({**item.figures, **item.metadata})
        except BadItem as error:
            raise ConfigError(f"{item.item}: {error}") from error
    if len(wanted) > 1:
        _refuse_what_does_not_fit(found, str(finished.about.get("depth_unit") or "metre"))
    return {name: pose for name, pose in found.items() if pose is not None}


def _refuse_what_does_not_fit(poses: Mapping[str, Pose | None], unit: str) -> None:
    if unknown := [name for name, pose in poses.items() if pose is None]:
        raise ConfigError(
            f"{len(unknown)} of {len(poses)} panoramas do not say where they stood ({', '.join(unknown[:3])}); give each a "
            "`position` in the list of the source or in the JSON beside it, or name one with --item: see docs/solids.md"
        )
    if unit != "metre":
        raise ConfigError(
            f"depth is in the unit {unit!r}, of another size in every panorama, so several do not fit together; take a teacher "
            "that knows metres, or name one with --item"
        )
    plain: dict[str, str] = {}
    for name in poses:
        if (other := plain.setdefault(plain_name(name), name)) != name:
            raise ConfigError(f"{name!r} and {other!r} are one name in letters that other programs take; rename one")


def _picture(item: Item, settings: Reading) -> tuple[NDArray[np.uint8], bool]:
    """The panorama, and True; all grey, and False, where its file is not there any more."""
    try:
        return load_panorama(item, settings).pixels, True
    except (BadItem, StoreError, AddressError):
        return np.full((item.height, item.width, 3), GREY, np.uint8), False
