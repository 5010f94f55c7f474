"""Published labels for reading, wherever they are kept."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import zarr

from storage.published import plain
from storage.published.contents import ICECHUNK


def open_published(url: str, version: str | None = None) -> zarr.Group:
    """Published labels for reading: arrays ``(panoramas, H, W[, C])`` as they are stored.

    Parameters
    ----------
    url : str
        ``<root>/published/<name>``, or ``<root>/published/<name>.icechunk``.
    version : str, optional
        The latest if none is given.

    Raises
    ------
    FileNotFoundError
        Nothing, or not this version, was published there.
    ModuleNotFoundError
        It is an Icechunk repository, and icechunk is not installed.
    """
    group: zarr.Group = _keeper(url).open_published(url, version)
    return group


def published_versions(url: str) -> list[dict[str, Any]]:
    """The records of what is published at a URL, oldest first: see :func:`storage.published.plain.versions`."""
    records: list[dict[str, Any]] = _keeper(url).versions(url)
    return records


def is_publication(url: str) -> bool:
    """Whether something is published at a URL."""
    return url.rstrip("/").endswith(ICECHUNK) or plain.latest_version(url) is not None


def _keeper(url: str) -> ModuleType:
    """The module that keeps what is published at a URL: all have the same functions."""
    if not url.rstrip("/").endswith(ICECHUNK):
        return plain
    from storage.published import icechunk  # an optional library

    return icechunk
