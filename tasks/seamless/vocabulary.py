"""What stages of seamless networks agree on: working size, classes, and names of the branches."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from models.seamless.saved import SeamlessModel

BRANCHES = ("instances", "amodals")


def at_height(panorama: NDArray[np.uint8], height: int) -> NDArray[np.uint8]:
    """A panorama (h, w, 3) as (height, 2 * height, 3), each pixel the mean of what it covers."""
    if panorama.shape[:2] == (height, 2 * height):
        return panorama
    method = cv2.INTER_AREA if panorama.shape[0] > height else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(panorama, (2 * height, height), interpolation=method), np.uint8)


def vocabulary(model: SeamlessModel) -> dict[str, Any]:
    """Names of all classes, and the range of the Things among them, for receipts."""
    things = model.network.settings.things
    return {"classes": list(model.classes), "things": [things.start, things.stop]}


def vocabulary_in(about: Mapping[str, Any]) -> dict[str, Any]:
    """What :func:`vocabulary` noted, of all that a receipt says."""
    return {name: about[name] for name in ("classes", "things") if name in about}


def things_of(about: Mapping[str, Any]) -> range:
    """The Thing classes that :func:`vocabulary` noted."""
    return range(*about["things"])
