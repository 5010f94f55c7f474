"""Semantics in the way of Cityscapes: panoramas in its folders with its labels, and DensePASS."""

import re

import numpy as np

from tasks.ingest.datasets.dataset import DataSet
from tasks.ingest.datasets.layout import FileLayout, split_in_path
from tasks.ingest.datasets.truth import Arrays, Found, class_arrays
from tasks.ingest.images.bands import whole_sphere

CLASSES = (
    *("road", "sidewalk", "building", "wall", "fence", "pole", "traffic light", "traffic sign", "vegetation", "terrain", "sky"),
    *("person", "rider", "car", "truck", "bus", "train", "motorcycle", "bicycle"),
)
"""The 19 classes that count, in the order of their training ids."""
LABEL_IDS = (7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33)
"""Label id of each class; other label ids do not count."""
TRAIN_ID_OF = np.full(34, -1)
TRAIN_ID_OF[list(LABEL_IDS)] = np.arange(len(CLASSES))
DENSEPASS_DEGREES = 70.3125
"""Height of DensePASS's 2048x400 images around the horizon, at 2048 pixels for 360 degrees."""


def decode(found: Found, _uri: str) -> Arrays:
    """``semantics`` (H, W) uint8 and ``instances`` (H, W) int32.

    From training ids, or label ids where there are none; ids of instances are label id x 1000 + number.
    """
    arrays: Arrays = {}
    if "train_ids" in found:
        arrays |= class_arrays(found.pixels("train_ids"), np.arange(len(CLASSES)))
    elif "label_ids" in found:
        arrays |= class_arrays(found.pixels("label_ids"), TRAIN_ID_OF)
    if "instances" in found:
        numbers = found.pixels("instances").astype(np.int32)
        arrays["instances"] = np.where(numbers >= 1000, numbers, 0)
    return arrays


def decode_densepass(found: Found, uri: str) -> Arrays:
    """As :func:`decode`, of a band around the horizon, at the height of a whole panorama: (W // 2, W), of the same dtypes."""
    return {name: whole_sphere(array) for name, array in decode(found, uri).items()}


CITYSCAPES = DataSet(
    FileLayout(
        example="leftImg8bit/val/<city>/<name>_leftImg8bit.png",
        pattern=re.compile(r"leftImg8bit/(?P<folder>(?P<split>[^/]+)/[^/]+)/(?P<name>[^/]+)_leftImg8bit\.(?:png|jpg)"),
        item=r"\g<folder>/\g<name>",
        places={
            "train_ids": r"gtFine/\g<folder>/\g<name>_gtFine_labelTrainIds.png",
            "label_ids": r"gtFine/\g<folder>/\g<name>_gtFine_labelIds.png",
            "instances": r"gtFine/\g<folder>/\g<name>_gtFine_instanceIds.png",
        },
        split=split_in_path,
    ),
    decode,
    classes=CLASSES,
)
DENSEPASS = DataSet(
    FileLayout(
        example="leftImg8bit/val/cs/100_.png",
        pattern=re.compile(r"leftImg8bit/(?P<folder>(?P<split>[^/]+)/(?:[^/]+/)*)(?P<name>[^/]+?)_\.(?:png|jpg)"),
        item=r"\g<folder>\g<name>",
        places={"train_ids": r"gtFine/\g<folder>\g<name>_labelTrainIds.png"},
        split=split_in_path,
        metadata={"vertical_degrees": DENSEPASS_DEGREES},
    ),
    decode_densepass,
    classes=CLASSES,
)
