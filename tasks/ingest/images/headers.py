"""Width and height of the panorama in a file, from its header, without decoding a pixel: a first look at a source."""

from __future__ import annotations

from typing import BinaryIO

from storage.urls import filesystem
from tasks.ingest.images import exr, hdr, tiff
from tasks.ingest.images.ldr import read_header
from tasks.ingest.images.places import Place
from tasks.ingest.images.size import BadImage

HEAD_BYTES = 1 << 16


def read_size(uri: str, vertical_degrees: float = 180.0) -> tuple[int, int]:
    """Width and height of the whole sphere that the file is decoded to, be it 2:1 or not.

    Turned upright, and with a part put in its place, as the file itself or ``vertical_degrees`` of the source's metadata states.

    Raises
    ------
    BadImage
        No size can be read: the file is no image, or damaged, or of a kind that is not read.
    OSError
        The file cannot be reached.
    """
    files, path = filesystem(uri)
    with files.open(path, "rb") as file:
        width, height, place = _look(file)
    if place is not None:
        return place.width, place.height
    return width, round(height * 180 / vertical_degrees)


def _look(file: BinaryIO) -> tuple[int, int, Place | None]:
    head = file.read(HEAD_BYTES)
    if not head:
        raise BadImage("the file is empty")
    if head.startswith(hdr.SIGNATURES):
        return *hdr.radiance_size(head), None
    if head.startswith(exr.SIGNATURE):
        return *exr.exr_size(head), None
    file.seek(0)
    if head.startswith(tiff.SIGNATURES):
        tags = tiff.read_tags(file)
        tiff.refuse_kind(tags)
        if tiff.is_light(tags):
            return tiff.light_size(tags)
        file.seek(0)
    return read_header(file)
