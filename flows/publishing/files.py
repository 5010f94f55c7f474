"""Finished labels as plain files, a panorama after the other, for programs that read such; labels.json says what they are."""

from __future__ import annotations

import json
from typing import Any

from configs.pipeline import Config
from configs.settings import ConfigError
from flows.publishing.earlier import earlier_files
from flows.stores.finished import fingerprints, finished_labels
from storage.arrays import BlockReader
from storage.urls import join, remove, write_bytes
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
    before = earlier_files(folder, LABELS, _listed)
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


def _listed(told: Any) -> list[str]:
    return [path for one in told["items"].values() for path in one["files"]]
