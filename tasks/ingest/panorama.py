"""The panorama of an item, decoded, and of any size."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from storage.fingerprint import digest
from storage.items import Item
from storage.urls import read_bytes
from tasks.ingest.images.bands import vertical_degrees
from tasks.ingest.images.decode import BadImage, Panorama, open_panorama
from tasks.ingest.settings import Ingest
from tasks.ingest.stored import StoredPanoramas, stored_panorama
from tasks.stage.job import BadItem, given_up
from tasks.stage.kind import Facts, Inputs

DECODED: Facts = ("metadata.vertical_degrees",)
"""The facts that :func:`load_panorama` reads of an item."""


def decoded(_settings: Any, _inputs: Inputs) -> Facts:
    """The facts of a kind that reads the panorama, and nothing else of an item."""
    return DECODED


Reading = Ingest | StoredPanoramas
"""How the panoramas of a stage are read: from files, or from its blocks."""


def load_panorama(item: Item, settings: Reading, decode: Callable[[bytes, Ingest, float], Panorama] = open_panorama) -> Panorama:
    """The decoded panorama of an item; BadItem if it was given up, or its file is not the one that ``ingest`` saw."""
    if item.reason:
        raise given_up(item)
    if isinstance(settings, StoredPanoramas):
        return stored_panorama(item)
    try:
        data = read_bytes(item.uri)
    except FileNotFoundError as error:
        raise BadItem(f"{item.uri}: the file is gone since it was ingested") from error
    if digest(data) != item.digest:
        raise BadItem(f"{item.uri}: the file changed while the run was going; run again to ingest it anew")
    try:
        return decode(data, settings, vertical_degrees(item.metadata))
    except BadImage as error:
        raise BadItem(str(error)) from error
