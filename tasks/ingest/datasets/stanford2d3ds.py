"""Stanford2D3DS (2D-3D-S): scanned offices, 2048x4096; the caps at the poles are missing."""

import json
import re

import numpy as np
from numpy.typing import NDArray

from tasks.ingest.datasets.dataset import DataSet
from tasks.ingest.datasets.layout import FileLayout, Splits
from tasks.ingest.datasets.truth import Arrays, Found, class_arrays, depth_arrays

UNITS_PER_METRE = 512
MISSING = 65535
CLASSES = (
    *("ceiling", "floor", "wall", "beam", "column", "window", "door"),
    *("table", "chair", "sofa", "bookcase", "board", "clutter"),
)
STUFF = ("ceiling", "floor", "wall")
TEST_AREA = "area_5"
"""Fold 1, the usual one: area 5 (a and b) is the test, all others are for training."""


def decode(found: Found, _uri: str) -> Arrays:
    """``depth`` (H, W) float32, ``semantics`` (H, W) uint8 and ``instances`` (H, W) int32.

    They are stored as 16-bit depth in 1/512 m, and 24-bit numbers of labels named ``class_instance_room_number_area``.

    Normals are not read: they are stored in the building's frame, and the rotation to the panorama's could not be checked.
    """
    arrays: Arrays = {}
    if "depth" in found:
        units = found.pixels("depth")
        arrays |= depth_arrays(units / np.float32(UNITS_PER_METRE), units != MISSING)
    if "semantics" in found:
        numbers = found.pixels("semantics", 3).astype(np.int64) @ np.array([1 << 16, 1 << 8, 1])
        names = [label.split("_")[0] for label in json.loads(found.bytes_of("labels"))]
        arrays |= class_arrays(numbers, _class_of(names, CLASSES))
        things = class_arrays(numbers, _class_of(names, tuple(name for name in CLASSES if name not in STUFF)))
        arrays["instances"] = np.where(things["semantics_valid"], numbers + 1, 0).astype(np.int32)
    return arrays


def _class_of(names: list[str], classes: tuple[str, ...]) -> NDArray[np.integer]:
    return np.array([classes.index(name) if name in classes else -1 for name in names])


def _split(match: re.Match[str], _splits: Splits) -> str:
    area = re.search(r"area_\d", match["folder"])
    return "" if area is None else "test" if area[0] == TEST_AREA else "train"


STANFORD2D3DS = DataSet(
    FileLayout(
        example="area_1/pano/rgb/<name>_rgb.png",
        # area_*/data/rgb holds perspective images under the same kind of name.
        pattern=re.compile(
            r"(?P<folder>(?:(?!data/)[^/]+/)*)rgb/(?P<name>[^/]+?)(?P<tail>(?:_frame_equirectangular_domain)?)_rgb\.png"
        ),
        item=r"\g<folder>\g<name>",
        places={
            "depth": r"\g<folder>depth/\g<name>\g<tail>_depth.png",
            "semantics": r"\g<folder>semantic/\g<name>\g<tail>_semantic.png",
            "labels": "/assets/semantic_labels.json",
        },
        split=_split,
    ),
    decode,
    classes=CLASSES,
    pole_crop=0.15,
)
