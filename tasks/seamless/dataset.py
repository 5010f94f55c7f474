"""What a data set for seamless segmentation is to us."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tasks.ingest.datasets.layout import FileLayout
from tasks.ingest.datasets.truth import Found
from tasks.seamless.labels import SeamlessTruth

Decode = Callable[[Found, Mapping[str, str], str], SeamlessTruth]


@dataclass(frozen=True)
class SeamlessSet:
    """A data set.

    ``decode`` takes the files of truth of an image, the URLs of all of them, and the last part of the image's item. ``lists``
    name the files that many images share: it reads them itself, and keeps them. A set of which ``decode`` is None has no labels.
    ``panoramas``: whether the images close, so that objects may cross their seam. ``amodal``: whether it says what is hidden.
    """

    layout: FileLayout
    classes: tuple[str, ...]
    decode: Decode | None
    lists: frozenset[str] = frozenset()
    panoramas: bool = False
    amodal: bool = False
