"""Data sets for seamless segmentation in miniature, written file by file as their descriptions say. Uses none of the readers."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pycocotools import mask as coco

HEIGHT, WIDTH = 24, 64
Mask = NDArray[np.bool_]


def rectangle(top: int, left: int, bottom: int, right: int) -> Mask:
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[top:bottom, left:right] = True
    return mask


@dataclass(frozen=True)
class Street:
    """A road under a sky, a car half behind a person, a crowd of cars, and a strip that nobody labelled.

    ``wholes`` of the two objects, the car first; ``visible`` of the same.
    """

    road: Mask
    void: Mask
    crowd: Mask
    wholes: Mask
    visible: Mask


def street() -> Street:
    car, person = rectangle(10, 8, 18, 30), rectangle(6, 22, 20, 28)
    return Street(
        rectangle(12, 0, HEIGHT, WIDTH),
        rectangle(0, 60, HEIGHT, WIDTH),
        rectangle(11, 40, 15, 50),
        np.stack([car, person]),
        np.stack([car & ~person, person]),
    )


def packed(mask: Mask) -> dict[str, Any]:
    """COCO's packed run lengths, by COCO's own tool."""
    runs = coco.encode(np.asfortranarray(mask.astype(np.uint8)))
    return {"size": list(mask.shape), "counts": runs["counts"].decode()}


def polygon(mask: Mask) -> list[list[float]]:
    """The outline of a rectangle."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    top, bottom, left, right = rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
    return [[float(value) for value in (left, top, right, top, right, bottom, left, bottom)]]


def save(path: Path, pixels: NDArray[Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def picture() -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)


def id_map(road: int, sky: int, car: int, person: int, crowd: int, void: int) -> NDArray[np.int64]:
    """The street as ids."""
    shown = street()
    ids = np.where(shown.road, road, sky)
    ids[shown.crowd] = crowd
    ids[shown.visible[0]], ids[shown.visible[1]] = car, person
    ids[shown.void] = void
    return ids


def coco_panoptic(folder: Path, annotations: Path, name: str, image: str) -> None:
    """A panoptic picture, its list, and the list of whole masks, of which one is a polygon and the other run lengths."""
    shown = street()
    ids = id_map(road=7, sky=300, car=70_000, person=70_001, crowd=13, void=0)
    colours = np.stack([ids % 256, ids // 256 % 256, ids // 65536], axis=-1).astype(np.uint8)
    save(folder / f"{name}_panoptic.png", colours)
    segments = [
        {"id": 7, "category_id": 0, "iscrowd": 0, "amodal_id": None},
        {"id": 300, "category_id": 10, "iscrowd": 0},
        {"id": 70_000, "category_id": 13, "iscrowd": 0, "amodal_id": 41},
        {"id": 70_001, "category_id": 11, "iscrowd": 0, "amodal_id": 42},
        {"id": 13, "category_id": 13, "iscrowd": 1, "amodal_id": -1},
    ]
    listed = {"annotations": [{"image_id": name, "file_name": f"{name}_panoptic.png", "segments_info": segments}]}
    (folder.parent / f"{folder.name}.json").write_text(json.dumps(listed))
    wholes = [
        {"id": 41, "image_id": 5, "category_id": 13, "segmentation": polygon(shown.wholes[0])},
        {"id": 42, "image_id": 5, "category_id": 11, "segmentation": packed(shown.wholes[1])},
    ]
    annotations.parent.mkdir(parents=True, exist_ok=True)
    annotations.write_text(json.dumps({"images": [{"id": 5, "file_name": image}], "annotations": wholes}))


def write_kitti360_aps(root: Path) -> None:
    save(root / "Image/train/0000_1.png", picture())
    coco_panoptic(root / "Panoptic/train", root / "annotations/train.json", "0000_1", "0000_1.png")


def write_blendpass(root: Path) -> None:
    save(root / "leftImg8bit/train/Oslo/7.jpg", picture())
    save(root / "leftImg8bit/val/12.png", picture())
    coco_panoptic(root / "Panoptic/val_trainId_K2B", root / "annotations/val.json", "12", "12.png")


def write_cityscapes(root: Path) -> None:
    save(root / "leftImg8bit/train/ulm/ulm_0_1_leftImg8bit.png", picture())
    ids = id_map(road=7, sky=23, car=26_001, person=24_000, crowd=26, void=1)
    save(root / "gtFine/train/ulm/ulm_0_1_gtFine_instanceIds.png", ids.astype(np.uint16))


def write_amodal_synth_drive(root: Path) -> None:
    shown = street()
    save(root / "images/train/front/s1/0001_rgb.jpg", picture())
    ids = id_map(road=7, sky=23, car=26_001, person=24_002, crowd=26, void=0)
    labels = root / "amodal_panoptic_seg/train/front/s1"
    save(labels / "0001_ampano.png", ids.astype(np.uint16))
    hidden = packed(shown.wholes[0] & ~shown.visible[0])
    objects = {
        "26001": {"category_id": 26, "amodal_mask": packed(shown.wholes[0]), "occlusion_mask": hidden},
        "24002": {"category_id": 24, "amodal_mask": packed(shown.wholes[1]), "occlusion_mask": []},
    }
    (labels / "0001_ampano.json").write_text(json.dumps(objects))


def write_densepass(root: Path) -> None:
    save(root / "leftImg8bit/train/200_.jpg", picture())
    save(root / "leftImg8bit/val/cs/100_.png", picture())
    ids = id_map(road=0, sky=10, car=13, person=11, crowd=16, void=255)
    save(root / "gtFine/val/cs/100_labelTrainIds.png", ids.astype(np.uint8))
