"""pool: predictions of all panoramas -> the surest whole objects, as pictures in a folder that anybody can look through.

<class>/<number>.png    the object in its box; its alpha is 255 where it is this object's for sure, 96 where others claim
                        the pixel too, and 0 outside. The colours are those of the panorama, outside too.
pool.json               for each picture: item, size of the panorama, box, class, score
index.html              all pictures on one page
"""

from __future__ import annotations

import html
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from models.adaptation.object_pool import PoolObject, cut_objects, surest
from models.adaptation.pseudo_labels import thing_area
from storage.about import common_about
from storage.arrays import damaged
from storage.entries import Entries, write_file
from storage.fingerprint import digest
from storage.receipts import Receipt
from storage.urls import exists, join, read_bytes
from tasks.adapt.arrays import unpack_mask, unpack_scores
from tasks.adapt.settings import ObjectPool
from tasks.adapt.thresholds import class_rule, table
from tasks.seamless.vocabulary import things_of, vocabulary_in
from tasks.stage.block import make_whole
from tasks.stage.grain import blocks_behind
from tasks.stage.job import Job, Output
from tasks.stage.kind import Edge, Kind
from tasks.stage.upstream import open_block, read_items

VERSION = "1"
SURE, CLAIMED = 255, 96
INDEX = "pool.json"


KIND = Kind(
    "pool",
    VERSION,
    ObjectPool,
    {"predictions": Edge("predictions"), "scores": Edge("scores")},
    "pool",
    make="tasks.adapt.pool:pool_block",
    grain="all",
    shows="tasks.adapt.shown:pool",
)


def pool_block(job: Job) -> Receipt:
    """Store the pool of all panoramas. In memory are one panorama, and at most ``pool.per_class`` objects of each class."""
    settings: ObjectPool = job.settings
    predicted = job.input("predictions")
    about = common_about(open_block(predicted, name)[1] for name in blocks_behind(job))

    def gather() -> Output:
        thresholds, counts = class_rule(job, "amodals", settings.rule)
        pool: list[PoolObject] = []
        for objects in _candidates(job, thresholds, settings.rule.least, things_of(about)):
            pool = surest([*pool, *objects], settings.per_class)
        files = write_pool(job.url, pool, about["classes"])
        kept = {about["classes"][label]: sum(one.label == label for one in pool) for label in sorted({one.label for one in pool})}
        return Output(figures={"objects": kept, "thresholds": table(about["classes"], thresholds, counts)}, files=files)

    return make_whole(job, gather, vocabulary_in(about))


def _candidates(job: Job, thresholds: NDArray[np.floating], least: float, things: range) -> Iterator[list[PoolObject]]:
    """The objects of each panorama that are sure enough, cut to where Things are seen: elsewhere their pixels show stuff."""
    for name in blocks_behind(job):
        for item, arrays in read_items(job.input("predictions"), name):
            classes, scores = unpack_scores("amodals", arrays)
            real = scores >= least
            chosen = scores >= thresholds[classes]
            if (real & chosen).any():
                area = thing_area(arrays["semantics"], things)
                masks = unpack_mask(arrays["amodals_masks"][: len(scores)][real], area.shape[1]) & area
                yield cut_objects(item, arrays["pixels"], masks, classes[real], scores[real], chosen[real])


def write_pool(url: str, pool: Sequence[PoolObject], classes: Sequence[str]) -> Entries:
    """Write the pictures, the index and the page below a URL; returns their entries for the receipt."""
    files: Entries = {}
    rows: list[dict[str, Any]] = []
    for number, one in enumerate(pool):
        row = {
            "file": f"{_folder(classes[one.label])}/{number:05d}.png",
            "item": one.item,
            "panorama": list(one.panorama),
            "box": one.box.tolist(),
            "label": one.label,
            "score": one.score,
        }
        files |= write_file(url, str(row["file"]), _picture(one))
        rows.append(row)
    files |= write_file(url, INDEX, (json.dumps(rows, indent=1, ensure_ascii=False) + "\n").encode())
    return files | write_file(url, "index.html", _page(rows, classes).encode())


def read_pool(url: str, receipt: Receipt) -> list[PoolObject]:
    """The objects of a finished pool, in their order.

    Raises
    ------
    DamagedBlock
        A file is gone, or is not the one that the receipt tells of.
    """
    return [_object(row, _sound(url, receipt, row["file"])) for row in json.loads(_sound(url, receipt, INDEX))]


def _sound(url: str, receipt: Receipt, name: str) -> bytes:
    data = read_bytes(join(url, name)) if exists(join(url, name)) else b""
    if name not in receipt.files or digest(data) != receipt.files[name]["sha256"]:
        raise damaged(url, f"{name} of the object pool is not what was written", receipt.files)
    return data


def _picture(one: PoolObject) -> bytes:
    alpha = np.where(one.overlap, CLAIMED, np.where(one.whole, SURE, 0)).astype(np.uint8)
    return cv2.imencode(".png", np.dstack([one.pixels[..., ::-1], alpha]))[1].tobytes()


def _object(row: Mapping[str, Any], picture: bytes) -> PoolObject:
    pixels = np.asarray(cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_UNCHANGED))
    alpha = pixels[..., 3]
    height, width = row["panorama"]
    colours = np.ascontiguousarray(pixels[..., 2::-1])
    return PoolObject(
        row["item"], (height, width), np.array(row["box"]), row["label"], row["score"], colours, alpha > 0, alpha == CLAIMED
    )


def _folder(name: str) -> str:
    return "".join(letter if letter.isalnum() else "_" for letter in name)


def _page(rows: Sequence[Mapping[str, Any]], classes: Sequence[str]) -> str:
    parts = ["<!doctype html><meta charset=utf-8><title>Object pool</title>"]
    parts.append("<style>img{height:96px;margin:2px;background:#c8c}</style><h1>Object pool</h1>")
    for label in sorted({row["label"] for row in rows}):
        own = [row for row in rows if row["label"] == label]
        parts.append(f"<h2>{html.escape(classes[label])}: {len(own)}</h2>")
        parts += [
            f'<img src="{html.escape(row["file"])}" title="{html.escape(row["item"])}, score {row["score"]:.3f}">' for row in own
        ]
    return "\n".join(parts) + "\n"
