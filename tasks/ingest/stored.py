"""Panoramas that lie in the blocks of a stage, instead of in files of their own: frames of clips do."""

from __future__ import annotations

from configs.settings import Settings
from storage.items import Item
from tasks.ingest.images.decode import Panorama
from tasks.stage.upstream import StoredBlock

PIXELS, OBSERVED = "pixels", "observed"
"""Arrays that such a stage stores of every item: (H, W, 3) uint8 RGB, and (H, W) bool, the directions that were photographed."""


class StoredPanoramas(Settings):
    """Base of the settings of such a stage. The ``uri`` of its items is the URL of the block that holds them."""


def stored_panorama(item: Item) -> Panorama:
    """The panorama of an item.

    Raises
    ------
    BadItem
        The stage gave it up.
    RuntimeError
        Its block has no receipt.
    DamagedBlock
        Its arrays are not those that were stored.
    """
    arrays = StoredBlock(item.uri, "that stores these panoramas").item(item.slot)
    return Panorama(arrays[PIXELS], arrays[OBSERVED])
