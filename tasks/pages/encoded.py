"""Arrays and charts as pictures that are ready to be shown, and the colours of classes in words."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tasks.pages.pictures import palette
from tasks.stage.tables import SVG, Picture, Words

WIDTH = 768
"""Pixels that a picture is at most wide."""


def webp(pixels: NDArray[np.uint8]) -> bytes:
    """An RGB picture (H, W, 3) as WebP, at most :data:`WIDTH` pixels wide."""
    image = Image.fromarray(pixels)
    image.thumbnail((WIDTH, WIDTH))
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", quality=85)
    return buffer.getvalue()


def png(caption: str, pixels: NDArray[np.uint8]) -> Picture:
    """An RGB picture (H, W, 3) as PNG, which every viewer of notebooks shows."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return Picture(caption, buffer.getvalue(), "image/png")


def encoded(named: Mapping[str, NDArray[np.uint8]]) -> list[Picture]:
    """RGB pictures (H, W, 3) by caption."""
    return [Picture(caption, webp(pixels)) for caption, pixels in named.items()]


def chart(caption: str, svg: str) -> Picture:
    """A chart of :mod:`tasks.pages.charts`."""
    return Picture(caption, svg.encode(), SVG)


def legend(classes: Sequence[str], text: str) -> Words:
    """How to read pictures of panoramas: ``text``, and the colours of :func:`tasks.pages.pictures.semantics_picture`."""
    colours = palette(len(classes)).tolist()
    marks = tuple((name, f"#{red:02x}{green:02x}{blue:02x}") for name, (red, green, blue) in zip(classes, colours))
    return Words("how-to-read", "Panoramas", text, marks=marks, detail=True)
