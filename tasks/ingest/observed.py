"""Which directions of a panorama were photographed, for the stages that make labels of it and judge them.

``ingest`` names the share in an item's figures where it is not all, so panoramas that are whole cost nothing: theirs is None.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from geometry.observed import observed_at
from storage.items import Item
from tasks.ingest.images.decode import Panorama
from tasks.ingest.panorama import Reading, load_panorama
from tasks.stage.job import BadItem

Observed = NDArray[np.bool_] | None
"""Directions (H, W) that were photographed; None for all of them."""


def partly_observed(item: Item) -> bool:
    """Whether something of the sphere was not photographed. The share is rounded: a hole of one pixel has 1.0, and is named."""
    return "observed" in item.figures


def observed_of(panorama: Panorama, height: int) -> Observed:
    """The mask of a decoded panorama at (height, 2 * height)."""
    return None if panorama.observed.all() else observed_at(panorama.observed, height)


def read_observed(item: Item, settings: Reading, height: int) -> Observed:
    """The mask of an item at (height, 2 * height); its file is read only if something was not photographed.

    Raises
    ------
    BadItem
        The file is gone, changed or damaged.
    """
    return observed_of(load_panorama(item, settings), height) if partly_observed(item) else None


def require_observed(observed: Observed) -> None:
    """Raises BadItem if nothing of a panorama is left at the size at which it is looked at."""
    if observed is not None and not observed.any():
        raise BadItem(
            f"no pixel of it was photographed whole, as seen at {len(observed)} rows; there is nothing to label or learn"
        )


def share(mask: NDArray[np.bool_], observed: Observed) -> float:
    """Share of a mask's pixels (H, W) bool, of those that were photographed."""
    return float((mask if observed is None else mask[observed]).mean())
