"""Export: finished labels with their images, in a format that training code reads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any

import cv2

from configs.pipeline import Config
from configs.settings import ConfigError
from flows.publishing.clip_files import LAYOUTS as CLIP_LAYOUTS
from flows.publishing.clip_files import How, export_clips
from flows.publishing.files import export_files
from flows.stores.finished import LABELS, Finished, NotFinished, fingerprints, finished_labels
from storage.about import refuse_other_arrays
from storage.arrays import BlockReader
from storage.fingerprint import digest
from storage.items import Item
from storage.published.samples import SHARD_BYTES, WRITERS, Sample, Split, export_splits
from storage.rows import ItemRow
from storage.urls import read_bytes
from tasks.ingest.panorama import load_panorama
from tasks.label.as_files import LAYOUTS
from tasks.pipeline import plain_stages
from tasks.stage.job import BadItem
from tasks.video.register import REGISTER

JPEG = [cv2.IMWRITE_JPEG_QUALITY, 98, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
OVERHEAD = 64 << 10  # bytes a sample, for headers and JSON


def export(
    config: Config,
    layout: str,
    folder: str,
    allow_incomplete: bool = False,
    shard_bytes: int = SHARD_BYTES,
    stage: str | None = None,
    clips: How | None = None,
) -> dict[str, Any]:
    """Write every panorama that has labels to a folder or URL; returns the index. Plain files go to :func:`export_files`, and
    clips, ``clips`` saying how, to :func:`export_clips`.

    Raises
    ------
    NotFinished
        Blocks are owed or damaged, or an image is no longer the one that was labelled.
    ConfigError
        There is no such format.
    """
    if is_of_clips(config, layout, stage):
        return export_clips(config, layout, folder, stage, clips or How(shard_bytes=shard_bytes))
    if clips is not None:
        raise ConfigError("--no-pictures, --height: are for clips; name the stage that registers them: --stage KEY")
    if layout in LAYOUTS:
        return export_files(config, layout, folder, allow_incomplete, stage)
    if layout not in WRITERS:
        raise ConfigError(f"--to {layout}: formats are {', '.join(dict.fromkeys([*WRITERS, *LAYOUTS, *CLIP_LAYOUTS]))}")
    finished = finished_labels(config, allow_incomplete, stage=stage)
    for url, _, receipt in finished.blocks:
        finished.refuse_damaged(url, receipt)
    rows = list(finished.rows())
    label_bytes = _label_bytes(finished)
    names = sorted({item.split for item, row in rows if row.state == "done"})
    if "" in names and "train" in names:
        raise ConfigError("some panoramas have the split 'train' and some have none; give every one a split in the source's list")
    splits = (
        Split(
            name or "train",
            [_image_bytes(item) + label_bytes + OVERHEAD for item, row in rows if row.state == "done" and item.split == name],
            _samples(finished, name),
        )
        for name in names
    )
    about = {
        "fingerprints": fingerprints(finished),
        "vocabulary": finished.about["classes"],
        "about": dict(finished.about),
        "given_up": {item.item: row.reason for item, row in rows if row.state != "done"},
        "complete": not finished.owed,
    }
    return export_splits(folder, splits, layout, about, shard_bytes)


def is_of_clips(config: Config, layout: str, stage: str | None) -> bool:
    """Whether clips are meant. ConfigError if that cannot be told."""
    giving = {one.key: one.kind.gives for one in plain_stages(config)}
    if layout not in WRITERS or layout not in CLIP_LAYOUTS:
        return layout in CLIP_LAYOUTS
    registers, labels = ([key for key, gives in giving.items() if gives == product] for product in (REGISTER, LABELS))
    if stage is None and registers and labels:
        raise ConfigError(f"--to {layout}: clips or panoramas? Say of which stage: --stage {registers[0]} or --stage {labels[0]}")
    return bool(registers) if stage is None else giving.get(stage) == REGISTER


def _label_bytes(finished: Finished) -> int:
    """Bytes of one panorama's labels; all have the same shapes."""
    for url, _, receipt in finished.blocks:
        for slot, row in enumerate(receipt.items):
            if row.state == "done":
                return sum(value.nbytes for value in BlockReader(url, receipt.files).item(slot).values())
    return 0


def _samples(finished: Finished, split: str) -> Iterator[Sample]:
    first: Mapping[str, Any] = {}
    for url, block, receipt in finished.blocks:
        wanted = [
            (slot, item, row)
            for slot, item, row in finished.of_block(block, receipt)
            if row.state == "done" and item.split == split
        ]
        reader = BlockReader(url, receipt.files) if wanted else None
        for slot, item, row in wanted:
            assert reader is not None
            arrays = reader.item(slot)
            first = first or arrays
            refuse_other_arrays(first, arrays, item.item)
            image, extension = _image(item, finished)
            yield Sample(item.item, image, extension, arrays, _about(finished, item, row))


def _about(finished: Finished, item: Item, row: ItemRow) -> dict[str, Any]:
    return {
        "split": item.split,
        "uri": item.uri,
        "digest": item.digest,
        "image": "file" if _is_plain(item) else "drawn anew",
        "figures": dict(row.figures),
        "fingerprint": finished.stage.identity.fingerprint,
        "vocabulary": finished.about["classes"],
    }


def _is_plain(item: Item) -> bool:
    """Whether any decoder makes of the file what was labelled: no turn, no part of the sphere, no light, no colour profile."""
    return bool(item.figures.get("plain", True))


def _image_bytes(item: Item) -> int:
    """Bytes that the sample's image takes at most; those of one that is drawn anew may be a little more than its pixels."""
    return item.size if _is_plain(item) else item.height * item.width * 3 * 65 // 64


def _image(item: Item, finished: Finished) -> tuple[bytes, str]:
    """An image whose pixels lie on the labels, and its extension: the file itself, else what was labelled, drawn anew.

    A JPEG stays one, since readers of a shard expect one key in all of its samples; all else becomes PNG, which loses nothing.
    """
    changed = NotFinished(f"{item.uri}: the file changed since it was labelled; run {finished.remake}, then export again")
    if not _is_plain(item):
        try:
            pixels = load_panorama(item, finished.stage.panoramas.settings).pixels
        except BadItem as error:
            raise changed from error
        kind, options = (".jpg", JPEG) if _extension(item) in ("jpg", "jpeg", "jfif", "jpe") else (".png", [])
        return bytes(cv2.imencode(kind, pixels[..., ::-1], options)[1]), kind[1:]
    data = read_bytes(item.uri)
    if digest(data) != item.digest:
        raise changed
    return data, _extension(item)


def _extension(item: Item) -> str:
    return PurePosixPath(item.uri.partition("::")[0]).suffix.lstrip(".").lower() or "image"
