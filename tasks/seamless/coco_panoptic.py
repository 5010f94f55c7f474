"""KITTI360-APS and BlendPASS: COCO's panoptic pictures and lists, and a list of whole masks beside them.

A pixel of a panoptic picture is an id, R + 256 G + 65536 B. The list of a split says what the ids of each picture are, and
``amodal_id`` leads to the object's whole mask in ``annotations/<split>.json``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np
import orjson

from storage.urls import read_bytes
from tasks.ingest.datasets.layout import FileLayout, split_in_path
from tasks.ingest.datasets.truth import Found
from tasks.seamless.dataset import SeamlessSet
from tasks.seamless.labels import SeamlessTruth, Segment, truth_of_segments
from tasks.seamless.regions import region_mask
from tasks.seamless.vocabularies import K2B

CHANNELS = np.array([1, 256, 65536])
Segments = dict[str, list[dict[str, Any]]]
Amodals = dict[str, dict[int, Any]]
LISTS = frozenset({"segments", "amodals"})
"""Files of truth that all pictures of a split share."""


def decode(found: Found, urls: Mapping[str, str], name: str) -> SeamlessTruth:
    """Truth of the image ``name`` from its picture and the split's two lists."""
    numbers = found.pixels("panoptic", 3).astype(np.int64) @ CHANNELS
    about = segments_of(urls["segments"]).get(name)
    if about is None:
        raise ValueError(f"{urls['segments']} says nothing of {name}")
    amodals = amodals_of(urls["amodals"]).get(name, {})
    return truth_of_segments(numbers, [_segment(one, amodals, numbers.shape) for one in about], amodal=True)


def _segment(one: Mapping[str, Any], amodals: Mapping[int, Any], size: tuple[int, ...]) -> Segment:
    label = int(one["category_id"])
    if not 0 <= label < len(K2B):
        raise ValueError(f"its segment {one['id']} is of the category {label}; training ids 0 to {len(K2B) - 1} are expected")
    amodal = one.get("amodal_id")
    region = None if amodal is None else amodals.get(int(amodal))
    whole = None if region is None else region_mask(region, size[0], size[1])
    return Segment(int(one["id"]), label, bool(one.get("iscrowd", 0)), whole)


@lru_cache(maxsize=4)
def segments_of(url: str) -> Segments:
    """Stem of every image of a panoptic list -> its segments."""
    return {_stem(one["file_name"]): one["segments_info"] for one in orjson.loads(read_bytes(url))["annotations"]}


@lru_cache(maxsize=4)
def amodals_of(url: str) -> Amodals:
    """Stem of every image of a COCO list -> id of the object -> its segmentation, as it is stored."""
    content = orjson.loads(read_bytes(url))
    stems = {image["id"]: _stem(image["file_name"]) for image in content["images"]}
    amodals: Amodals = {stem: {} for stem in stems.values()}
    for one in content["annotations"]:
        amodals[stems[one["image_id"]]][int(one["id"])] = one["segmentation"]
    return amodals


def _stem(file_name: str) -> str:
    return file_name.rsplit("/", 1)[-1].rsplit(".", 1)[0].removesuffix("_panoptic")


KITTI360_APS = SeamlessSet(
    FileLayout(
        example="Image/train/<name>.png",
        pattern=re.compile(r"Image/(?P<split>[^/]+)/(?P<name>[^/]+)\.(?:png|jpg)"),
        item=r"\g<split>/\g<name>",
        places={
            "panoptic": r"Panoptic/\g<split>/\g<name>_panoptic.png",
            "segments": r"Panoptic/\g<split>.json",
            "amodals": r"annotations/\g<split>.json",
        },
        split=split_in_path,
    ),
    K2B,
    decode,
    lists=LISTS,
    amodal=True,
)
BLENDPASS = SeamlessSet(
    FileLayout(
        example="leftImg8bit/val/<name>.png",
        pattern=re.compile(r"leftImg8bit/(?P<split>[^/]+)/(?P<folder>(?:[^/]+/)*)(?P<name>[^/]+)\.(?:png|jpg)"),
        item=r"\g<split>/\g<folder>\g<name>",
        places={
            "panoptic": r"Panoptic/\g<split>_trainId_K2B/\g<name>_panoptic.png",
            "segments": r"Panoptic/\g<split>_trainId_K2B.json",
            "amodals": r"annotations/\g<split>.json",
        },
        split=split_in_path,
    ),
    K2B,
    decode,
    lists=LISTS,
    panoramas=True,
    amodal=True,
)
