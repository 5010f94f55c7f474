"""Published labels for reading, wherever they are kept."""

from __future__ import annotations

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
    if not url.rstrip("/").endswith(ICECHUNK):
        return plain.open_published(url, version)
    from storage.published import icechunk  # an optional library

    return icechunk.open_published(url, version)
