"""Panoramas per second that reach a training: our loader, and torch's DataLoader over the same labels as they are published.

    python -m benchmarks.labels.training_data [--count 32] [--threads 2]

Both decode JPEGs of 2048x1024 pixels and give images and labels (depth, normals, semantics, masks, confidences) of 1024x512. The
peer is the data set of docs/publish.md with the image added: worker processes, shuffled item by item, no augmentation, and no
check that an image is the one that was labelled. So ``none`` is the row to compare it with.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import tempfile
import time
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from geometry.directions import erp_directions
from geometry.resampling.augment import Augmentation
from storage.arrays import BlockReader
from storage.fingerprint import Identity
from storage.items import Block, Item
from storage.published import open_published
from storage.published.plain import point_at, write_version
from tasks.label.fuse import encode_labels
from tasks.pipeline import plain_stages, validated
from tasks.stage.block import run_block
from tasks.stage.job import Job, Output
from tasks.train.labels.data import DataSettings, LabelStore, TrainingData
from tasks.train.labels.items import ItemSettings

HEIGHT = 512
BATCH = 4
VARIANTS = {
    "none": Augmentation(roll=False, mirror=False),
    "roll, mirror": Augmentation(),
    "roll, mirror, tilt": Augmentation(tilt_degrees=5),
}


def write_panorama(folder: Path, number: int) -> Item:
    """A smooth random picture with some grain, as a JPEG of 2048x1024."""
    generator = np.random.default_rng(number)
    coarse = generator.integers(0, 256, (16, 32, 3)).astype(np.uint8)
    pixels = cv2.resize(coarse, (4 * HEIGHT, 2 * HEIGHT), interpolation=cv2.INTER_CUBIC)
    pixels = cv2.add(pixels, generator.integers(0, 12, pixels.shape, dtype=np.uint8))
    data = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 92])[1].tobytes()
    path = folder / f"p{number:04d}.jpg"
    path.write_bytes(data)
    return Item(path.stem, str(path), hashlib.sha256(data).hexdigest(), 2 * HEIGHT, 4 * HEIGHT, len(data), "")


def labels_of(item: Item) -> dict[str, NDArray[Any]]:
    """Labels as bulky as real ones: depth that follows the picture, normals that look at the camera, classes by brightness."""
    picture = cv2.resize(cv2.imread(item.uri, cv2.IMREAD_GRAYSCALE), (2 * HEIGHT, HEIGHT), interpolation=cv2.INTER_AREA)
    labels = {"depth": 1 + picture.astype(np.float32) / 64, "normals": -erp_directions(HEIGHT, 2 * HEIGHT, np.float32)}
    labels |= {
        "semantics": picture // 8,
        "depth_consistency": picture,
        "normals_agreement": picture,
        "semantics_confidence": picture,
    }
    return labels | {f"{name}_valid": picture > 20 for name in ("depth", "normals", "semantics")}


def write_store(folder: Path, count: int) -> LabelStore:
    """One block of fused labels, written by the code that every stage shares."""
    (folder / "images").mkdir()
    stages = {
        "ingest": {"source": {"url": str(folder / "images")}},
        "project": {},
        "picture": {"stage": "label", "kind": "scenes", "fields": ["depth", "normals", "semantics"]},
        "fuse": {},
    }
    fuse = plain_stages(validated({"name": "bench", "root": str(folder / "store"), "stages": stages}))[-1]
    stage = replace(fuse, identity=Identity("fuse", "benchmark"))
    block = Block(0, tuple(write_panorama(folder / "images", number) for number in range(count)))
    job = Job(stage, block, "benchmark")

    def encode(values: Mapping[str, NDArray]) -> dict[str, NDArray]:
        return encode_labels(values, stage.settings)

    receipt = run_block(job, lambda item, _: Output(labels_of(item)), {"classes": [str(n) for n in range(32)]}, encode=encode)
    return LabelStore(stage, [(job.url, block, receipt)])


class Published(torch.utils.data.Dataset):
    """The peer's data set: images and published labels, item by item."""

    def __init__(self, url: str, images: list[str]) -> None:
        self.url, self.images = url, images
        self.group: Any = None

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        if self.group is None:  # opened in the worker: a store does not survive a fork
            self.group = open_published(self.url)
        image = cv2.resize(cv2.imread(self.images[index]), (2 * HEIGHT, HEIGHT), interpolation=cv2.INTER_AREA)
        names = sorted(name for name in self.group if name.startswith(("depth", "normals", "semantics")))
        arrays = {"image": image[..., ::-1].copy(), **{name: self.group[name][index] for name in names}}
        arrays |= {"depth": arrays["depth"].astype(np.float32), "normals": arrays["normals"].astype(np.float32) / 127}
        return {name: torch.from_numpy(array) for name, array in arrays.items()}


def publish(folder: Path, store: LabelStore) -> Published:
    url, block, _ = store.blocks[0]
    reader = BlockReader(url)
    rows = [{"item": item.item, "valid": True} for item in block.items]
    target = str(folder / "published")
    write_version(
        target, "v1", (reader.item(slot) for slot in range(len(rows))), rows, {"created": "", "run": "", "complete": True}
    )
    point_at(target, "v1")
    return Published(target, [item.uri for item in block.items])


def rate(batches: Iterable[Any], count: int) -> float:
    """Panoramas per second."""
    started = time.perf_counter()
    for _ in batches:
        pass
    return count / (time.perf_counter() - started)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=32)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    count = options.count - options.count % BATCH
    with tempfile.TemporaryDirectory() as name:
        store = write_store(Path(name), count)
        published = publish(Path(name), store)
        print(f"{date.today()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, {count} panoramas\n")
        print(f"| loader, {options.threads} threads or workers | augmentation | panoramas/s |\n|---|---|---|")
        for augmentation, how in VARIANTS.items():
            item = ItemSettings(HEIGHT, augmentation=how)
            data = TrainingData([store], DataSettings(item, BATCH, threads=options.threads))
            print(f"| ours | {augmentation} | {rate(data.batches(0), count):.1f} |", flush=True)
        loader = torch.utils.data.DataLoader(
            published, BATCH, shuffle=True, num_workers=options.threads, multiprocessing_context="spawn", persistent_workers=True
        )
        rate(loader, count)  # workers start
        print(f"| torch DataLoader | none | {rate(loader, count):.1f} |")


if __name__ == "__main__":
    main()
