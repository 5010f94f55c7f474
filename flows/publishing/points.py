"""Finished labels in three dimensions, whether teachers or a student made them: points and meshes, one file a panorama."""

from __future__ import annotations

import math
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from configs.pipeline import Config
from configs.settings import ConfigError
from flows.stores.finished import finished_labels
from flows.stores.items import nearest_item
from storage.addresses import AddressError
from storage.arrays import BlockReader
from storage.manifest import Item
from storage.retries import StoreError
from storage.urls import join, location, write_bytes
from tasks.ingest.panorama import Reading, load_panorama
from tasks.label.fuse import decode_labels
from tasks.solids.formats import FORMATS, MAX_INCIDENCE, NEEDS
from tasks.solids.scans import Scan
from tasks.stage.job import BadItem

GREY = 128
NEEDED = ("depth", "depth_valid", "normals", "normals_valid", "semantics", "semantics_valid")


def check_format(to: str) -> None:
    """Raises ConfigError for anything but the formats of points and meshes, and where a format's library is not there."""
    if to not in FORMATS:
        raise ConfigError(f"{to}: points and meshes are written as {', '.join(FORMATS)}")
    if to in NEEDS and find_spec(NEEDS[to][0]) is None:
        raise ConfigError(f"{to} needs {NEEDS[to][0]}; install it with: pip install '{NEEDS[to][1]}'")


def write_points(
    config: Config,
    folder: str,
    to: str,
    names: Sequence[str] = (),
    allow_incomplete: bool = False,
    stage: str | None = None,
    max_incidence: float = MAX_INCIDENCE,
    most: int | None = None,
) -> dict[str, Any]:
    """Write the panoramas that are named, or all, as ``folder/<item>.<to>``: see :data:`tasks.solids.formats.FORMATS`.

    ``max_incidence``, in degrees, is the most obliquely that a surface may be seen: steeper steps of distance are tears, and no
    surface. ``most`` is about how many points a panorama makes; by default one a pixel.

    Returns
    -------
    dict
        ``files`` with their paths and numbers of points or triangles, and ``skipped``: item -> reason.

    Raises
    ------
    ConfigError
        Another format is asked for, an item that there is not, or an incidence of no surface.
    NotFinished
        Labels are owed, and ``allow_incomplete`` is false.
    """
    check_format(to)
    if not 0 < max_incidence <= 90:
        raise ConfigError(f"--max-incidence {max_incidence:g}: surfaces are seen at 0 to 90 degrees; 90 tears nothing")
    if most is not None and most < 1:
        raise ConfigError(f"--max-points {most}: must be at least 1")
    finished = finished_labels(config, allow_incomplete, need_source=False, stage=stage)
    known = [item.item for item, _ in finished.rows()]
    for name in names:
        if name not in known:
            raise ConfigError(f"item {name!r} has no place in {config.root}; {nearest_item(name, known, 'items with labels')}")
    files: list[dict[str, Any]] = []
    skipped: dict[str, str] = {}
    classes = tuple(finished.about.get("classes", ()))
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
                scan = Scan(item.item, labels, image, math.radians(max_incidence), most=most, classes=classes)
                data, counts = FORMATS[to]([scan])
            except BadItem as error:
                skipped[item.item] = str(error)
                continue
            file = join(folder, f"{item.item}.{to}")
            write_bytes(file, data)
            files.append({"item": item.item, "file": location(file), **counts, "coloured": coloured})
    return {"files": files, "skipped": skipped}


def _picture(item: Item, settings: Reading) -> tuple[NDArray[np.uint8], bool]:
    """The panorama, and True; all grey, and False, where its file is not there any more."""
    try:
        return load_panorama(item, settings).pixels, True
    except (BadItem, StoreError, AddressError):
        return np.full((item.height, item.width, 3), GREY, np.uint8), False
