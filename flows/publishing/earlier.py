"""What an earlier export left in a folder: its files may be replaced, and no others."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

from configs.settings import ConfigError
from storage.credentials import mask_credentials
from storage.names import unsafe_name
from storage.urls import exists, join, read_bytes


def earlier_files(folder: str, listing: str, paths: Callable[[Any], Iterable[Any]]) -> set[str]:
    """Paths of the files of an earlier export to a folder, by its list of them; ``paths`` are those that a list names.

    Raises
    ------
    ConfigError
        The list is something else, or names files outside the folder: they would be removed.
    """
    place = join(folder, listing)
    if not exists(place):
        return set()
    try:
        files = {str(path) for path in paths(json.loads(read_bytes(place)))}
    except (ValueError, TypeError, KeyError, AttributeError):
        files = {""}
    if any(unsafe_name(path) for path in files):
        raise ConfigError(
            f"{mask_credentials(place)}: is no list of an earlier export of this kind, so nothing there is replaced; move it "
            "away, or give another folder"
        )
    return files
