"""Which classes of the usual vocabularies are stuff: what has no instances, such as walls, road and sky.

Things are the 100, 80 and 8 that the panoptic tasks of ADE20K (Mask2Former's ``ADE20K_150_CATEGORIES``), COCO
(panopticapi's ``panoptic_coco_categories.json``) and Cityscapes (cityscapesScripts' ``labels.py``) count; the rest is here.
"""

from __future__ import annotations

from collections.abc import Sequence

ADE20K = frozenset((
    "wall", "building", "sky", "floor", "tree", "ceiling", "road", "grass", "sidewalk", "earth", "mountain", "plant",
    "water", "house", "sea", "rug", "field", "rock", "base", "sand", "skyscraper", "grandstand", "path", "runway",
    "stairway", "river", "bridge", "blind", "hill", "bar", "hovel", "tower", "dirt track", "land", "escalator", "buffet",
    "poster", "stage", "conveyer belt", "canopy", "pool", "falls", "tent", "cradle", "tank", "blanket", "lake", "pier",
    "crt screen", "shower",
))  # fmt: skip
COCO = frozenset((
    "banner", "blanket", "bridge", "cardboard", "counter", "curtain", "door-stuff", "floor-wood", "flower", "fruit",
    "gravel", "house", "light", "mirror-stuff", "net", "pillow", "platform", "playingfield", "railroad", "river", "road",
    "roof", "sand", "sea", "shelf", "snow", "stairs", "tent", "towel", "wall-brick", "wall-stone", "wall-tile",
    "wall-wood", "water-other", "window-blind", "window-other", "tree-merged", "fence-merged", "ceiling-merged",
    "sky-other-merged", "cabinet-merged", "table-merged", "floor-other-merged", "pavement-merged", "mountain-merged",
    "grass-merged", "dirt-merged", "paper-merged", "food-other-merged", "building-other-merged", "rock-merged",
    "wall-other-merged", "rug-merged",
))  # fmt: skip
CITYSCAPES = frozenset(
    ("road", "sidewalk", "building", "wall", "fence", "pole", "traffic light", "traffic sign", "vegetation", "terrain", "sky")
)
STUFF = {150: ADE20K, 133: COCO, 19: CITYSCAPES}
"""By the number of classes of the vocabulary."""
OTHER_NAMES = {"swimming pool": "pool", "waterfall": "falls", "conveyor belt": "conveyer belt"}
NOTHING = frozenset(("background", "other", "others", "unlabeled", "unlabelled", "void", "ignore"))
ENOUGH = 0.9
"""Share of a vocabulary's stuff that must be named for it to be that vocabulary; spellings differ."""
EXTRA = 2
"""Classes that a vocabulary may have besides, for what is none."""


def stuff_of(classes: Sequence[str]) -> frozenset[int] | None:
    """Indices of the classes without instances; None where the vocabulary is none of the known ones."""
    names = [_plain(name) for name in classes]
    for count, stuff in STUFF.items():
        if count <= len(names) <= count + EXTRA and len(stuff & set(names)) >= ENOUGH * len(stuff):
            return frozenset(index for index, name in enumerate(names) if name in stuff or name in NOTHING)
    return None


def things_of(classes: Sequence[str]) -> tuple[str, ...] | None:
    """Names of the classes that have instances; None where the vocabulary is none of the known ones."""
    stuff = stuff_of(classes)
    return None if stuff is None else tuple(name for index, name in enumerate(classes) if index not in stuff)


def _plain(name: str) -> str:
    """The first of the synonyms after which vocabularies put commas."""
    first = name.split(",")[0].strip().lower()
    return OTHER_NAMES.get(first, first)
