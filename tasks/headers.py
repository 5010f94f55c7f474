"""Width and height of an image file from its header, without decoding a pixel: a first look at a source."""

from __future__ import annotations

import struct

from PIL import Image, UnidentifiedImageError

from storage.urls import filesystem
from tasks.images import EXR_SIGNATURE, FORMATS, RADIANCE_SIGNATURES, RADIANCE_SIZE, BadImage

HEAD_BYTES = 1 << 16
EXR_WINDOW = b"dataWindow\0box2i\0\x10\0\0\0"


def read_size(uri: str) -> tuple[int, int]:
    """Width and height as the header states them, before any EXIF orientation.

    Raises
    ------
    BadImage
        No size can be read: the file is no image, or damaged.
    OSError
        The file cannot be reached.
    """
    files, path = filesystem(uri)
    with files.open(path, "rb") as file:
        head = file.read(HEAD_BYTES)
        if head.startswith(RADIANCE_SIGNATURES):
            size = RADIANCE_SIZE.search(head)
            if size is None:
                raise BadImage("the HDR header gives no size")
            return int(size[2]), int(size[1])
        if head.startswith(EXR_SIGNATURE):
            return _exr_size(head)
        file.seek(0)
        try:
            with Image.open(file, formats=FORMATS) as image:
                return image.size
        except UnidentifiedImageError as error:
            raise BadImage("not an image in a known format") from error
        except Exception as error:  # on damaged files Pillow raises whatever its parsers happen to trip over
            raise BadImage(f"the header cannot be read: {str(error)[:200] or type(error).__name__}") from error


def _exr_size(head: bytes) -> tuple[int, int]:
    at = head.find(EXR_WINDOW)
    window = head[at + len(EXR_WINDOW) :][:16]
    if at < 0 or len(window) < 16:
        raise BadImage("the EXR header has no data window")
    left, top, right, bottom = struct.unpack("<4i", window)
    return right - left + 1, bottom - top + 1
