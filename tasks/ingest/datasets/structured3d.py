"""Structured3D: rendered homes, 512x1024."""

import re

import numpy as np

from tasks.ingest.datasets.dataset import DataSet
from tasks.ingest.datasets.layout import FileLayout, Splits
from tasks.ingest.datasets.truth import Arrays, Found, class_arrays, depth_arrays, normal_arrays

UNITS_PER_METRE = 1000
NO_INSTANCE = 65535
CLASSES = (
    *("wall", "floor", "cabinet", "bed", "chair", "sofa", "table", "door", "window", "bookshelf"),
    *("picture", "counter", "blinds", "desk", "shelves", "curtain", "dresser", "pillow", "mirror", "floor mat"),
    *("clothes", "ceiling", "books", "refrigerator", "television", "paper", "towel", "shower curtain", "box", "whiteboard"),
    *("person", "nightstand", "toilet", "sink", "lamp", "bathtub", "bag", "otherstructure", "otherfurniture", "otherprop"),
)
"""The 40 classes of NYUv2; the label 0 is none of them."""
SPLITS = (("train", 3000), ("val", 3250), ("test", 3500))
"""Split, and the number of the scene before which it ends."""


def decode(found: Found, _uri: str) -> Arrays:
    """``depth`` (H, W) and ``normals`` (H, W, 3) float32, ``semantics`` (H, W) uint8 and ``instances`` (H, W) int32.

    They are stored as 16-bit millimetres, normals of 128 (1 + n) with x right, y up, z back, labels of NYUv2, 16-bit instances.
    """
    arrays: Arrays = {}
    if "depth" in found:
        units = found.pixels("depth")
        arrays |= depth_arrays(units / np.float32(UNITS_PER_METRE), units > 0)
    if "normals" in found:
        arrays |= normal_arrays(found.pixels("normals", 3) / np.float32(128) - 1, ("right", "up", "back"))
    if "semantics" in found:
        arrays |= class_arrays(found.pixels("semantics"), np.arange(-1, len(CLASSES)))
    if "instances" in found:
        numbers = found.pixels("instances").astype(np.int32)
        arrays["instances"] = np.where(numbers == NO_INSTANCE, 0, numbers + 1)
    return arrays


def _split(match: re.Match[str], _splits: Splits) -> str:
    return next((split for split, end in SPLITS if int(match["number"]) < end), "")


STRUCTURED3D = DataSet(
    FileLayout(
        example="scene_00000/2D_rendering/<room>/panorama/full/rgb_rawlight.png",
        pattern=re.compile(
            r"(?P<folder>(?P<scene>scene_(?P<number>\d+))/2D_rendering/(?P<room>[^/]+)/panorama/full)/rgb_rawlight\.png"
        ),
        item=r"\g<scene>/\g<room>",
        places={
            "depth": r"\g<folder>/depth.png",
            "normals": r"\g<folder>/normal.png",
            "semantics": r"\g<folder>/semantic.png",
            "instances": r"\g<folder>/instance.png",
        },
        split=_split,
    ),
    decode,
    classes=CLASSES,
)
