"""A data set for seamless segmentation, opened: its images, and what its files say of them."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from storage.urls import read_bytes
from tasks.ingest.datasets.layout import files_below
from tasks.ingest.datasets.truth import FORMATS, MOST_PIXELS, Found
from tasks.ingest.entries import Entry, SourceError, in_order
from tasks.seamless import SEAMLESS_SETS
from tasks.seamless.dataset import SeamlessSet
from tasks.seamless.labels import SeamlessTruth
from tasks.stage.job import BadItem


@dataclass(frozen=True)
class SeamlessData:
    """The images of a root, or of one of its splits, sorted by item; ``kind`` is a key of ``SEAMLESS_SETS``."""

    kind: str
    root: str
    entries: Sequence[Entry]

    def __len__(self) -> int:
        return len(self.entries)

    @property
    def about(self) -> SeamlessSet:
        """The description of the data set."""
        return SEAMLESS_SETS[self.kind]

    def image(self, index: int) -> NDArray[np.uint8]:
        """An image (H, W, 3) RGB. BadItem if its file is missing, damaged or too large."""
        uri = self.entries[index].uri
        try:
            with Image.open(io.BytesIO(read_bytes(uri)), formats=FORMATS) as image:
                if image.width * image.height > MOST_PIXELS:
                    raise ValueError(f"it says that it has {image.width}x{image.height} pixels")
                return np.array(image.convert("RGB"))
        except Exception as error:  # image libraries have many of their own
            raise BadItem(f"{uri}: cannot be read as an image: {error}") from error

    def truth(self, index: int) -> SeamlessTruth | None:
        """The labels of an image, or None if it has none.

        Raises
        ------
        BadItem
            A file is damaged, lacks its companion, or is not what the data set's description says; the message names it.
        """
        entry, decode = self.entries[index], self.about.decode
        urls = self.about.layout.truth(self.root, entry.uri)
        own = {name: url for name, url in urls.items() if name not in self.about.lists}
        files = {name: data for name, url in own.items() if (data := _read(url)) is not None}
        if decode is None or not files:
            return None
        try:
            return decode(Found(files, urls), urls, entry.item.rsplit("/", 1)[-1])
        except Exception as error:  # what strangers' files hold may trip any parser, and must not stop a run
            raise BadItem(f"{entry.uri}: its labels cannot be read as those of {self.kind}: {error}") from error

    def labelled(self, index: int) -> tuple[NDArray[np.uint8], SeamlessTruth]:
        """An image (H, W, 3) uint8 and its labels. BadItem also if it has none, or they are of another size."""
        image, truth, uri = self.image(index), self.truth(index), self.entries[index].uri
        if truth is None:
            raise BadItem(f"{uri}: has no labels, which are expected at {', '.join(self.expected(index)) or 'no place'}")
        if truth.semantics.shape != image.shape[:2]:
            raise BadItem(f"{uri}: is {image.shape[:2]}, and its labels are {truth.semantics.shape}")
        return image, truth

    def expected(self, index: int) -> list[str]:
        """URLs of the files of truth of an image, whether they are there or not."""
        return list(self.about.layout.truth(self.root, self.entries[index].uri).values())


def open_seamless_data(kind: str, root: str, split: str | None = None) -> SeamlessData:
    """The images of a data set. Reads none.

    Raises
    ------
    SourceError
        There are none, or none in the split; the message says what was expected.
    """
    layout = SEAMLESS_SETS[kind].layout
    entries = layout.listing(root, files_below(root)).entries
    if not entries:
        raise SourceError(f"{root}: no images of {kind} found; expected are {layout.example} below the root")
    ordered = in_order(root, entries)
    kept = [entry for entry in ordered if split in (None, entry.split)]
    if not kept:
        there = ", ".join(f"{name!r} ({count})" for name, count in sorted(Counter(entry.split for entry in ordered).items()))
        raise SourceError(f"{root}: no image is in the split {split!r}; there are {there}")
    return SeamlessData(kind, root, kept)


def _read(url: str) -> bytes | None:
    try:
        return read_bytes(url)
    except (FileNotFoundError, NotADirectoryError):
        return None
