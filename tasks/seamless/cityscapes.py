"""Sets in the way of Cityscapes: its own pinhole images, AmodalSynthDrive, and the panoramas of DensePASS and PASS."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import orjson

from tasks.ingest.datasets.cityscapes import CITYSCAPES as CITYSCAPES_FILES
from tasks.ingest.datasets.cityscapes import DENSEPASS as DENSEPASS_FILES
from tasks.ingest.datasets.layout import FileLayout, split_in_path
from tasks.ingest.datasets.truth import Found
from tasks.seamless.dataset import SeamlessSet
from tasks.seamless.labels import SeamlessTruth, Segment, truth_of_segments
from tasks.seamless.regions import region_mask
from tasks.seamless.vocabularies import A2B, A2B_OF_LABEL_ID, A2B_OF_TRAIN_ID, IGNORED, THINGS

NUMBERS_A_CLASS = 1000


def decode_instance_ids(found: Found, _urls: Mapping[str, str], _name: str) -> SeamlessTruth:
    """Label ids, or label id x 1000 + number for single Things; a Thing without a number is a crowd. No whole masks."""
    numbers = found.pixels("instances").astype(np.int64)
    return truth_of_segments(numbers, [_segment(int(number)) for number in np.unique(numbers)], amodal=False)


def decode_ampano(found: Found, _urls: Mapping[str, str], _name: str) -> SeamlessTruth:
    """The same numbers, with a list of the objects and their ``amodal_mask``."""
    numbers = found.pixels("ampano").astype(np.int64)
    about: dict[str, Any] = orjson.loads(found.bytes_of("objects"))
    wholes = {int(number): region_mask(one["amodal_mask"], *numbers.shape) for number, one in about.items()}
    segments = [_segment(int(number)) for number in np.unique(numbers)]
    given = [Segment(one.number, one.label, one.crowd, wholes.get(one.number)) for one in segments]
    return truth_of_segments(numbers, given, amodal=True)


def _segment(number: int) -> Segment:
    counted = number >= NUMBERS_A_CLASS
    label_id = number // NUMBERS_A_CLASS if counted else number
    label = int(A2B_OF_LABEL_ID[label_id]) if label_id < len(A2B_OF_LABEL_ID) else IGNORED
    return Segment(number, label, crowd=label in THINGS and not counted)


def decode_train_ids(found: Found, _urls: Mapping[str, str], _name: str) -> SeamlessTruth:
    """Training ids alone: classes, and no object, so that only mIoU can be told."""
    stored = found.pixels("train_ids")
    classes = np.full(256, IGNORED)
    classes[: len(A2B_OF_TRAIN_ID)] = A2B_OF_TRAIN_ID
    nobody = np.zeros((0, *stored.shape), bool)
    return SeamlessTruth(classes[stored].astype(np.uint8), nobody, np.zeros(0, np.int64), np.zeros(0, bool), None)


CITYSCAPES = SeamlessSet(
    FileLayout(
        example=CITYSCAPES_FILES.layout.example,
        pattern=CITYSCAPES_FILES.layout.pattern,
        item=r"\g<folder>/\g<name>",
        places={"instances": r"gtFine/\g<folder>/\g<name>_gtFine_instanceIds.png"},
        split=split_in_path,
    ),
    A2B,
    decode_instance_ids,
)
AMODAL_SYNTH_DRIVE = SeamlessSet(
    FileLayout(
        example="images/train/<view>/<sequence>/<name>_rgb.jpg",
        pattern=re.compile(r"images/(?P<folder>(?P<split>[^/]+)/(?:[^/]+/)*)(?P<name>[^/]+?)(?:_rgb)?\.(?:png|jpg)"),
        item=r"\g<folder>\g<name>",
        places={
            "ampano": r"amodal_panoptic_seg/\g<folder>\g<name>_ampano.png",
            "objects": r"amodal_panoptic_seg/\g<folder>\g<name>_ampano.json",
        },
        split=split_in_path,
    ),
    A2B,
    decode_ampano,
    amodal=True,
)
DENSEPASS = SeamlessSet(
    FileLayout(
        example=DENSEPASS_FILES.layout.example,
        pattern=DENSEPASS_FILES.layout.pattern,
        item=r"\g<folder>\g<name>",
        places={"train_ids": r"gtFine/\g<folder>\g<name>_labelTrainIds.png"},
        split=split_in_path,
    ),
    A2B,
    decode_train_ids,
    panoramas=True,
)
"""PASS lies in the same folders."""
