"""Pinhole images of procedural streets with whole masks, in the layout and classes of KITTI360-APS: a source to learn from.

python -m scenes.pinholes DATA --split train --count 400

Image/<split>/<name>.png
Panoptic/<split>/<name>_panoptic.png   id of every pixel's segment: R + 256 G + 65536 B
Panoptic/<split>.json                  of every id its category, whether it is a crowd, and the id of its whole mask
annotations/<split>.json               whole masks as COCO's run lengths
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from geometry.cameras import Camera
from scenes.amodal import amodal_masks, run_lengths
from scenes.build import build_scene
from scenes.processes import in_processes
from scenes.render import render_camera
from scenes.streets import vans
from scenes.vocabulary import CLASSES, ID, THINGS

CATEGORIES = {
    "road": ("road", 0),
    "sidewalk": ("sidewalk", 1),
    "building": ("building", 2),
    "fence": ("fence", 4),
    "pole": ("pole", 5),
    "sign": ("traffic sign", 7),
    "vegetation": ("vegetation", 8),
    "terrain": ("terrain", 9),
    "sky": ("sky", 10),
    "person": ("pedestrians", 11),
    "car": ("car", 13),
}
"""Name and number, among KITTI360-APS's, of what there is in a street."""
FIRST_SEED = {"train": 0, "val": 50_000, "test": 60_000}
"""Of each split's scenes, so that none is in two."""
VAN = "van", 16
THING_IDS = 1000
"""Ids of segments: the class's category for stuff, this and the instance's number for Things."""


@dataclass(frozen=True)
class Labels:
    """What the lists say of one image."""

    name: str
    segments: list[dict[str, Any]]
    wholes: list[dict[str, Any]]


def write_pinholes(
    root: Path, split: str, count: int, height: int = 128, width: int = 256, processes: int | None = None, with_vans: bool = False
) -> None:
    """Render ``count`` street views of a split, a scene each. The same arguments give the same bytes.

    Cameras look along the street, more or less, and see 60 to 90 degrees. ``with_vans``: vans are a class of their own, and no
    cars. The lists are written last.
    """
    for folder in ("Image", "Panoptic"):
        (root / folder / split).mkdir(parents=True, exist_ok=True)
    (root / "annotations").mkdir(exist_ok=True)
    seeds = range(FIRST_SEED[split], FIRST_SEED[split] + count)
    jobs = [(root, split, height, width, with_vans, seed) for seed in seeds]
    _write_lists(root, split, in_processes(_write_view, jobs, processes))


def _write_view(root: Path, split: str, height: int, width: int, with_vans: bool, seed: int) -> Labels:
    generator = np.random.default_rng([5, seed])
    # A street runs along z; those who drive through it look along it, more or less.
    scene, yaw = build_scene("street", seed), generator.choice([0, np.pi]) + generator.normal() * 0.5
    camera = Camera.looking(width, height, np.radians(generator.uniform(60, 90)), yaw, np.radians(generator.uniform(-8, 4)))
    position = scene.free_position(generator)
    frame = render_camera(scene, position, camera, supersample=2)
    is_thing = (frame.instances > 0) & np.isin(frame.semantics, [label for label in THINGS if label != ID["sign"]])
    category = np.array([CATEGORIES.get(name, ("", 0))[1] for name in CLASSES])[frame.semantics]
    if with_vans:
        category[is_thing & np.isin(frame.instances, vans(scene))] = VAN[1]
    ids = np.where(is_thing, THING_IDS + frame.instances.astype(np.int64), category)
    name = f"{seed:06d}"
    _save(root / "Image" / split / f"{name}.png", frame.image)
    _save(
        root / "Panoptic" / split / f"{name}_panoptic.png", np.stack([ids % 256, ids // 256, 0 * ids], axis=-1).astype(np.uint8)
    )
    masks = amodal_masks(scene, position, camera.directions())
    segments: list[dict[str, Any]] = []
    wholes: list[dict[str, Any]] = []
    for number, first in zip(*np.unique(ids, return_index=True)):
        about = {"id": int(number), "category_id": int(category.flat[first]), "iscrowd": 0, "area": int((ids == number).sum())}
        if number >= THING_IDS:
            about["amodal_id"] = len(wholes)
            instance = int(number) - THING_IDS
            # Rays that graze an edge may hit an object in the street and miss it alone.
            whole = masks.get(instance, np.zeros_like(is_thing)) | (ids == number)
            wholes.append({"category_id": about["category_id"], "segmentation": run_lengths(whole), "area": int(whole.sum())})
        segments.append(about)
    return Labels(name, segments, wholes)


def _write_lists(root: Path, split: str, labels: Iterable[Labels]) -> None:
    listed, images = [], []
    wholes: list[dict[str, Any]] = []
    for index, one in enumerate(labels):
        first = len(wholes)
        for segment in one.segments:
            if "amodal_id" in segment:
                segment["amodal_id"] += first
        wholes += [{"id": first + place, "image_id": index, **whole} for place, whole in enumerate(one.wholes)]
        images.append({"id": index, "file_name": f"{one.name}.png"})
        listed.append({"image_id": index, "file_name": f"{one.name}_panoptic.png", "segments_info": one.segments})
    categories = [{"id": number, "name": name} for name, number in (*CATEGORIES.values(), VAN)]
    _save_list(root / "annotations" / f"{split}.json", {"images": images, "annotations": wholes, "categories": categories})
    _save_list(root / "Panoptic" / f"{split}.json", {"annotations": listed, "categories": categories})


def _save(path: Path, pixels: NDArray[np.uint8]) -> None:
    path.write_bytes(cv2.imencode(".png", pixels[..., ::-1])[1].tobytes())


def _save_list(path: Path, content: dict[str, Any]) -> None:
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(content))
    temporary.replace(path)


def main() -> None:
    """The command line; see the top of this file."""
    parser = argparse.ArgumentParser(description="Pinhole images of procedural streets, in the layout of KITTI360-APS.")
    parser.add_argument("root", type=Path)
    parser.add_argument("--split", choices=sorted(FIRST_SEED), default="train")
    parser.add_argument("--count", type=int, default=400)
    parser.add_argument("--height", type=int, default=128)
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--vans", action="store_true", help="as a class of their own")
    given = parser.parse_args()
    write_pinholes(given.root, given.split, given.count, given.height, given.width, with_vans=given.vans)


if __name__ == "__main__":
    main()
