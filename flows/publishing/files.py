"""Finished labels as plain files, a panorama after the other, for programs that read such; labels.json says what they are."""

from __future__ import annotations

import json
from typing import Any

from configs.pipeline import Config
from configs.settings import ConfigError
from flows.stores.finished import fingerprints, finished_labels
from storage.arrays import BlockReader
from storage.credentials import mask_credentials
from storage.names import unsafe_name
from storage.urls import exists, join, read_bytes, remove, write_bytes
from tasks.label.as_files import LABELS, LAYOUTS


def refuse_layout(layout: str) -> None:
    """Raises ConfigError for anything but the layouts of plain files."""
    if layout not in LAYOUTS:
        raise ConfigError(f"--to {layout}: plain files are written as {' or '.join(LAYOUTS)}")


def export_files(
    config: Config, layout: str, folder: str, allow_incomplete: bool = False, stage: str | None = None
) -> dict[str, Any]:
    """Write the labels of every panorama, and then ``labels.json``, which is returned.

    Parameters
    ----------
    config : Config
    layout : a key of :data:`tasks.label.as_files.LAYOUTS`
    folder : folder or URL
    allow_incomplete : take what is finished even if blocks are owed
    stage : that gives the labels; by default the only one

    Returns
    -------
    dict
        ``classes``, ``depth_unit``, ``fingerprints``, ``items`` with their files and figures, ``given_up`` with reasons.

    Raises
    ------
    ConfigError
        The folder holds a ``labels.json`` that no export has written.
    NotFinished
        Blocks are owed or damaged, and ``allow_incomplete`` is false.
    """
    finished = finished_labels(config, allow_incomplete, need_source=False, stage=stage)
    before = _files_of(folder)
    remove(join(folder, LABELS))  # it comes last: with it the export is whole
    classes = list(finished.about.get("classes", ()))
    told: dict[str, Any] = {"layout": layout, "classes": classes, "depth_unit": finished.about.get("depth_unit", "")}
    items: dict[str, Any] = {}
    given_up: dict[str, str] = {}
    for url, block, receipt in finished.blocks:
        finished.refuse_damaged(url, receipt)
        reader = BlockReader(url, receipt.files) if receipt.done else None
        for slot, item, row in finished.of_block(block, receipt):
            if row.state != "done" or reader is None:
                given_up[item.item] = row.reason
                continue
            files = LAYOUTS[layout](item.item, reader.item(slot), len(classes))
            for path, data in files.items():
                write_bytes(join(folder, path), data)
            items[item.item] = {"files": sorted(files), "figures": dict(row.figures)}
    for path in sorted(before - {path for one in items.values() for path in one["files"]}):
        remove(join(folder, path))
    told |= {"fingerprints": fingerprints(finished), "complete": not finished.owed, "items": items, "given_up": given_up}
    write_bytes(join(folder, LABELS), (json.dumps(told, indent=1) + "\n").encode())
    return told


def _files_of(folder: str) -> set[str]:
    """The files of an earlier export to the folder; they are to be removed, so ConfigError for a list that names any others."""
    place = join(folder, LABELS)
    if not exists(place):
        return set()
    try:
        files = {str(path) for one in json.loads(read_bytes(place))["items"].values() for path in one["files"]}
    except (ValueError, TypeError, KeyError, AttributeError):
        files = {""}
    if any(unsafe_name(path) for path in files):
        raise ConfigError(
            f"{mask_credentials(place)}: is no list of an earlier export, so nothing there is replaced; move it away, or give "
            "another folder"
        )
    return files
