"""Label stores whose labels follow from the pixels, written by the real code of a stage without a flow."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from geometry.directions import erp_directions
from storage.fingerprint import Identity
from storage.items import Block, Item
from storage.manifest import write_manifest
from tasks.ingest.ingest import manifest_url
from tasks.ingest.panorama import load_panorama
from tasks.label.fuse import encode_labels
from tasks.label.settings import Fuse
from tasks.pipeline import validated
from tasks.stage.block import run_block
from tasks.stage.job import BadItem, Job, Output
from tasks.stage.kind import Stage
from tasks.train.labels.data import LabelStore
from tests.support.stages import stage_of

CLASSES = ("dark", "dim", "light", "bright")


def labels_of(image: NDArray[np.uint8]) -> dict[str, NDArray[Any]]:
    """Labels (H, W) that the red of each pixel decides: depth 1 + red / 64, class red // 64; normals look at the camera."""
    red, everywhere = image[..., 0], np.ones(image.shape[:2], bool)
    return {
        "depth": 1 + red.astype(np.float32) / 64,
        "depth_valid": image[..., 1] < 200,
        "depth_consistency": image[..., 2],
        "normals": -erp_directions(*image.shape[:2], np.float32),
        "normals_valid": everywhere,
        "normals_agreement": np.full(image.shape[:2], 255, np.uint8),
        "semantics": (red // 64).astype(np.uint8),
        "semantics_valid": everywhere,
        "semantics_confidence": image[..., 2],
    }


def write_label_store(
    folder: Path,
    count: int = 6,
    block_size: int = 3,
    height: int = 16,
    bad: Sequence[str] = (),
    splits: Sequence[str] = ("",),
    fields: Sequence[str] = ("depth", "normals", "semantics"),
    classes: Sequence[str] = CLASSES,
    weight: float = 1.0,
) -> LabelStore:
    """Panoramas ``p00``, ``p01``, ... in blocks with receipts; those in ``bad`` are quarantined. Splits are dealt out in turn."""
    (folder / "images").mkdir(parents=True)
    stage = _stage(folder, height, fields)
    items = [write_panorama(folder / "images", number, height, splits[number % len(splits)]) for number in range(count)]
    groups = [tuple(items[start : start + block_size]) for start in range(0, count, block_size)]
    placed = [replace(item, block=number // block_size, slot=number % block_size) for number, item in enumerate(items)]
    write_manifest(manifest_url(stage.panoramas), placed)
    blocks = [_finish(stage, Block(index, group), bad, fields, classes) for index, group in enumerate(groups)]
    return LabelStore(stage, blocks, weight)


def _stage(folder: Path, height: int, fields: Sequence[str]) -> Stage:
    """A stage ``fuse`` whose name follows from the folder."""
    data = {
        "name": folder.name,
        "root": str(folder / "store"),
        "stages": {
            "ingest": {"source": {"url": str(folder / "images")}, "min_width": 2},
            "project": {},
            "red": {"stage": "label", "kind": "scenes", "fields": list(fields)},
            "fuse": {"height": height, "normals_dtype": "float16"},
        },
    }
    found = stage_of(validated(data), "fuse")
    return replace(found, key=folder.name, identity=Identity("fuse", "1", {"of": folder.name}))


def write_panorama(folder: Path, number: int, height: int, split: str) -> Item:
    """Noise, seeded by the number, as the PNG ``p<number>``."""
    pixels = np.random.default_rng(number).integers(0, 256, (height, 2 * height, 3), dtype=np.uint8)
    data = cv2.imencode(".png", pixels[..., ::-1])[1].tobytes()
    path = folder / f"p{number:02d}.png"
    path.write_bytes(data)
    return Item(path.stem, str(path), hashlib.sha256(data).hexdigest(), height, 2 * height, len(data), "", split)


def _finish(stage: Stage, block: Block, bad: Sequence[str], fields: Sequence[str], classes: Sequence[str]) -> tuple:
    job = Job(stage, block, "run")

    def compute(item: Item, image: NDArray[np.uint8]) -> Output:
        if item.item in bad:
            raise BadItem("nothing can be said of it")
        return Output({name: array for name, array in labels_of(image).items() if name.split("_")[0] in fields})

    def encode(values: Mapping[str, NDArray]) -> dict[str, NDArray]:
        return encode_labels(values, Fuse(height=16, normals_dtype="float16"))

    receipt = run_block(
        job, compute, {"classes": list(classes)}, read=lambda _, item: load_panorama(item, job.panoramas).pixels, encode=encode
    )
    return job.url, block, receipt
