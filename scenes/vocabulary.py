"""What there is in the procedural world: class names, which of them are things, and colours to show them in."""

import numpy as np
from numpy.typing import NDArray

CLASSES = (
    "sky",
    "floor",
    "ceiling",
    "wall",
    "door",
    "window",
    "table",
    "chair",
    "sofa",
    "bed",
    "shelf",
    "lamp",
    "picture",
    "rug",
    "road",
    "sidewalk",
    "building",
    "terrain",
    "fence",
    "pole",
    "vegetation",
    "sign",
    "car",
    "person",
)
"""Names of the classes; the index is the label. 0 is the sky."""

ID = {name: index for index, name in enumerate(CLASSES)}

THINGS = frozenset(ID[name] for name in ("table", "chair", "sofa", "bed", "shelf", "lamp", "picture", "sign", "car", "person"))
"""Labels of the classes that have instances; all others are stuff, with instance 0."""


def palette() -> NDArray[np.uint8]:
    """One colour for each class, (classes, 3) RGB."""
    hues = np.arange(len(CLASSES)) * 0.618034 % 1
    value = np.where(np.arange(len(CLASSES)) % 2, 0.95, 0.7)
    wheel = np.abs((hues[:, None] * 6 + np.array([0, 4, 2])) % 6 - 3) - 1
    return np.round(255 * value[:, None] * (1 - 0.65 * (1 - np.clip(wheel, 0, 1)))).astype(np.uint8)
