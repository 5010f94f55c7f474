"""Capture metadata that lie beside an image, as ``<name>.json``. Files of other programs have such names too."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from storage.urls import read_bytes
from tasks.ingest.metadata import Understood, one_each, understand

MOST_BYTES = 1_000_000


class ForeignSidecar(ValueError):
    """The JSON file beside an image is no capture metadata; the message says why it is not read."""


def read_sidecar(uri: str, about: Mapping[str, Any]) -> Understood:
    """The metadata in a sidecar, the split that it states, and what is wrong with them.

    Raises
    ------
    ForeignSidecar
        It is too large, not JSON, or something else than an object: another program's file.
    """
    if int(about.get("size") or 0) > MOST_BYTES:
        raise ForeignSidecar(f"is larger than {MOST_BYTES // 1000} kB")
    try:
        said = json.loads(read_bytes(uri), object_pairs_hook=one_each)
    except FileNotFoundError as error:
        raise ForeignSidecar("is gone, or a link that leads nowhere") from error
    except (ValueError, RecursionError) as error:
        raise ForeignSidecar(f"is not valid JSON ({str(error)[:200]})") from error
    if not isinstance(said, dict):
        raise ForeignSidecar(f"holds no JSON object, but {type(said).__name__}")
    return understand(said)
