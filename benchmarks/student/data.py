"""Procedural rooms, split by scene, and the label stores that the arms learn from: made by the pipeline, and one of truth.

    python -m benchmarks.student.data [--folder work/experiments/student]
    python -m benchmarks.student.data --folder work/experiments/student_gpu --scale gpu

What is there is not made again.
"""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import cache
from itertools import repeat
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.runs.direct import ingested, labelling, source_of, steps_over
from benchmarks.student.scale import SCALES, scale_of, write_scale
from configs.pipeline import Config
from scenes.dataset import write_dataset
from scenes.vocabulary import CLASSES
from storage.fingerprint import Identity
from storage.items import Block, Item, blocks_of
from storage.manifest import read_manifest
from storage.receipts import read_receipt
from tasks.ingest.images.resizing import resize_image
from tasks.ingest.ingest import manifest_url
from tasks.label.fuse import encode_labels
from tasks.pipeline import stages
from tasks.stage.block import run_block
from tasks.stage.job import Job, Output
from tasks.stage.kind import Stage
from tasks.train.labels.data import LabelStore
from tasks.train.labels.items import resize_labels

FOLDER = Path("work/experiments/student")
FIRST_SEED = 60_000
"""Of the scenes; the demo teacher was trained on others."""
VIEW_SCALE = 0.2
"""Standard deviation of a view's log scale where it is made noisy."""
FEW = 0.05
"""Share of the training panoramas whose truth counts as known."""

Arrays = dict[str, NDArray[Any]]
TRUTH = {"truth": {"kind": "scenes", "fields": ["depth", "normals", "semantics"]}}
NOISY = {"noisy": {**TRUTH["truth"], "settings": {"view_scale": VIEW_SCALE}}}
STORES: dict[str, dict[str, Any]] = {
    "pseudo": {},
    "pseudo_aligned": {"fuse.depth": "align"},
    "round_trip": {"teachers": TRUTH},
    "noise": {"teachers": NOISY},
    "noise_aligned": {"teachers": NOISY, "fuse.depth": "align"},
}
"""What each store changes in the scale's pipeline; they share views and patch labels."""


def config_of(folder: Path, name: str) -> Config:
    """The pipeline that makes a store's labels."""
    scale = scale_of(folder)
    common = {
        "name": name,
        "root": str(folder / "store"),
        "ingest.source": {"url": str(folder / "scenes" / "images")},
        "fuse.height": scale.height,
        "execution.runner.workers": 1,
        "execution.device": scale.device,
        "ingest.min_width": 2,
    }
    own = {key: value for key, value in STORES[name].items() if key != "teachers"}
    teachers = STORES[name].get("teachers")
    rendered = scale.rendered if teachers else {}
    return labelling(scale.pipeline, common | dict(scale.views) | own | dict(rendered), teachers)


def fused_stage(folder: Path, name: str) -> Stage:
    """The stage whose blocks are a store's labels; ``truth`` is the one of truth."""
    config = config_of(folder, "round_trip" if name == "truth" else name)
    fused = next(stage for stage in stages(config) if stage.key == "fuse")
    return replace(fused, identity=truth_identity(folder)) if name == "truth" else fused


def truth_identity(folder: Path) -> Identity:
    """Of the labels that are the truth itself."""
    return Identity("fuse", "experiment 1", {"labels": "truth", "height": scale_of(folder).height})


def make_rooms(folder: Path, count: int | None = None, processes: int = 1, image: int | None = None) -> None:
    """Render rooms with their truth as panoramas of ``image`` rows, put them in blocks, and write the store of truth."""
    count, image = count or scale_of(folder).scenes, image or scale_of(folder).image
    write_dataset(folder / "scenes", "room", count, FIRST_SEED, image, 2 * image, amodal=False, processes=processes)
    if not _blocks(folder):
        ingested(config_of(folder, "round_trip"))
    write_truth_store(folder, _blocks(folder))


def make_labels(folder: Path, processes: int = 1) -> None:
    """Let the pipeline's stages make all other stores."""
    blocks = _blocks(folder)
    with ProcessPoolExecutor(processes, get_context("spawn")) as pool:
        for name in STORES:
            list(pool.map(_make_block, repeat(folder), repeat(name), blocks))
            print(f"{name}: labelled", flush=True)


def _make_block(folder: Path, name: str, block: Block) -> None:
    """All stages up to the labels; their figures are :mod:`benchmarks.student.figures`'."""
    torch.set_num_threads(1)
    config = config_of(folder, name)
    for step in steps_over(config, [block]):
        job = Job(step.stage, block, "experiment", config.execution)
        if step.key != "evaluate" and read_receipt(job.url) is None:
            step.stage.make(job)


def write_truth_store(folder: Path, blocks: Sequence[Block]) -> None:
    """Labels that are the truth itself, in the blocks of the other stores."""
    stage = fused_stage(folder, "truth")
    for block in blocks:
        job = Job(stage, block, "truth")
        if read_receipt(job.url) is None:
            run_block(job, _truth_output(folder), {"classes": list(CLASSES), "depth_unit": "metre"}, encode=_encode(stage))


def _truth_output(folder: Path) -> Callable[[Item, Any], Output]:
    def compute(item: Item, _read: Any) -> Output:
        truth = read_truth(folder, item.item)
        known, sure = ~truth["sky"], np.full(truth["sky"].shape, 255, np.uint8)
        trust = {"depth_consistency": sure, "normals_agreement": sure, "semantics_confidence": sure}
        valid = {"depth_valid": known, "normals_valid": known, "semantics_valid": np.ones_like(known)}
        return Output({**truth, **trust, **valid})

    return compute


def _encode(stage: Stage) -> Callable[[Mapping[str, NDArray]], dict[str, NDArray]]:
    return lambda values: encode_labels(values, stage.settings)


def read_truth(folder: Path, item: str) -> Arrays:
    """``depth``, ``normals``, ``semantics`` and ``sky`` of a panorama at the training size; each pixel is one exact ray."""
    height = scale_of(folder).height
    with np.load(folder / "scenes" / "truth" / f"{item}.npz") as arrays:
        return {name: resize_labels(arrays[name], height) for name in ("depth", "normals", "semantics", "sky")}


def _blocks(folder: Path) -> list[Block]:
    return blocks_of(read_manifest(manifest_url(source_of(config_of(folder, "round_trip")))))


class MissingLabels(ValueError):
    """A store is not finished."""


@cache
def open_store(folder: Path, name: str) -> LabelStore:
    """A finished store, whose panoramas are those of :func:`small_picture`; ``truth`` is the one of truth.

    Raises
    ------
    MissingLabels
        Some blocks have no labels yet.
    """
    stage, blocks = fused_stage(folder, name), []
    for block in _blocks(folder):
        url = stage.block_url(block.name)
        receipt = read_receipt(url)
        if receipt is None:
            raise MissingLabels(f"{url}: has no labels; run python -m benchmarks.student.data --folder {folder}")
        blocks.append((url, replace(block, items=tuple(small_picture(folder, item) for item in block.items)), receipt))
    return LabelStore(stage, blocks)


def small_picture(folder: Path, item: Item) -> Item:
    """The item with a lossless panorama of the training size, the same that training would make at every step."""
    path, height = folder / "small" / f"{item.item}.png", scale_of(folder).height
    if not path.exists():
        path.parent.mkdir(exist_ok=True)
        pixels = resize_image(read_bgr(item.uri), height)
        part = path.with_suffix(".part.png")
        cv2.imwrite(str(part), pixels)
        part.replace(path)
    data = path.read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    return replace(item, uri=str(path), digest=digest, height=height, width=2 * height, size=len(data))


def read_bgr(path: str) -> NDArray[np.uint8]:
    """The pixels (H, W, 3) of a picture that this module wrote."""
    pixels = cv2.imread(path)
    if pixels is None:
        raise FileNotFoundError(f"{path}: is no picture any more; run python -m benchmarks.student.data again")
    return np.asarray(pixels, np.uint8)


def choose(store: LabelStore, part: str, seed: int) -> LabelStore:
    """The store with only some of its training panoramas: ``all``, ``few`` drawn by the seed, or the ``rest`` of them."""
    names = sorted(item.item for _, block, _ in store.blocks for item in block.items if item.split == "train")
    drawn = np.random.default_rng([11, seed]).permutation(names)[: max(round(FEW * len(names)), 1)]
    kept = {"all": set(names), "few": set(drawn), "rest": set(names) - set(drawn)}[part]
    return replace(store, blocks=[(url, _only(block, kept), receipt) for url, block, receipt in store.blocks])


def _only(block: Block, kept: set[str]) -> Block:
    left_out = tuple(
        item if item.split != "train" or item.item in kept else replace(item, split="left out") for item in block.items
    )
    return replace(block, items=left_out)


def split_items(store: LabelStore, split: str) -> list[Item]:
    """The panoramas of a split, in the order of the manifest."""
    return [item for _, block, _ in store.blocks for item in block.items if item.split == split]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=FOLDER)
    parser.add_argument("--scale", choices=list(SCALES), default="cpu")
    parser.add_argument("--count", type=int, help="rooms, if not those of the scale")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--parts", nargs="+", default=["rooms", "labels"], choices=["rooms", "labels"])
    options = parser.parse_args()
    write_scale(options.folder, options.scale)
    if "rooms" in options.parts:
        make_rooms(options.folder, options.count, options.processes)
    if "labels" in options.parts:
        make_labels(options.folder, options.processes)


if __name__ == "__main__":
    main()
