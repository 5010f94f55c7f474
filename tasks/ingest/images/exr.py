"""OpenEXR: linear light, and the place of what is stored (the data window) in the whole picture (the display window)."""

from __future__ import annotations

import struct
import tempfile
from typing import Any

import numpy as np

from tasks.ingest.images.hdr import SEEN, Light
from tasks.ingest.images.places import Place
from tasks.ingest.images.size import BadImage, check_area, check_size
from tasks.ingest.settings import Ingest

SIGNATURE = b"\x76\x2f\x31\x01"
MOST_CHANNELS = 64
"""Those of a file are unpacked together, wanted or not, and renderers may write hundreds."""
CUBE = 1
"""Value of the attribute ``envmap`` for six faces; 0 is a panorama."""


def decode_exr(data: bytes, settings: Ingest) -> Light:
    """Read the first part of a file; colours are divided by their alpha, with which they are multiplied in an EXR.

    Raises
    ------
    BadImage
        The file is damaged, or no panorama of R, G, B or Y.
    """
    import Imath
    import OpenEXR

    with tempfile.NamedTemporaryFile(suffix=".exr") as file:  # the library reads headers from paths only
        file.write(data)
        file.flush()
        try:
            # Each of the library's two interfaces is used for what it does well: ``InputFile.header`` crashes on damaged
            # files, and ``File`` reports damaged pixels on stdout, where ``--json`` goes.
            header = OpenEXR.File(file.name, header_only=True).header()
            width, height, place = _windows(header, settings)
            names = _check_channels(header, settings)
            planes = OpenEXR.InputFile(file.name).channels(names, Imath.PixelType(Imath.PixelType.FLOAT))
            read = [np.frombuffer(plane, np.float32).reshape(height, width) for plane in planes]
        except BadImage:
            raise
        except Exception as error:  # the library raises nothing more specific
            reason = str(error).replace(file.name, "the file")[:200]
            raise BadImage(f"cannot be decoded: the EXR file is truncated or damaged ({reason})") from error
    alpha = read.pop() if names.endswith("A") else None
    linear = np.stack(read if len(read) == 3 else read * 3, axis=-1)
    if alpha is None:
        return Light(linear, np.ones((height, width), np.bool_), place)
    observed = alpha >= SEEN
    return Light((linear / np.where(observed, alpha, 1)[..., None]).astype(np.float32), observed, place)


def exr_size(head: bytes) -> tuple[int, int]:
    """Width and height of the whole picture from the beginning of a file.

    Raises
    ------
    BadImage
        The header has no display window.
    """
    mark = b"displayWindow\0box2i\0\x10\0\0\0"
    at = head.find(mark)
    window = head[at + len(mark) :][:16]
    if at < 0 or len(window) < 16:
        raise BadImage("cannot be decoded: the EXR header has no display window")
    left, top, right, bottom = struct.unpack("<4i", window)
    return right - left + 1, bottom - top + 1


def _windows(header: dict[str, Any], settings: Ingest) -> tuple[int, int, Place | None]:
    """Width and height of what is stored, and its place in the whole, where it is a part (or more than the whole)."""
    stored, shown = (
        [value for corner in header[name] for value in corner.astype(int).tolist()] for name in ("dataWindow", "displayWindow")
    )
    (width, height), whole = ((one[2] - one[0] + 1, one[3] - one[1] + 1) for one in (stored, shown))
    check_area(width, height, settings)
    if stored == shown:
        return width, height, None
    left, top = stored[0] - shown[0], stored[1] - shown[1]
    if left >= whole[0] or top >= whole[1] or left + width <= 0 or top + height <= 0:
        raise BadImage("the EXR file stores nothing of what it shows: its data window lies outside of its display window")
    check_size(*whole, settings)
    return width, height, Place(*whole, left, top)


def _check_channels(header: dict[str, Any], settings: Ingest) -> str:
    """The channels to read: ``RGB`` or ``Y``, with ``A`` where there is one."""
    if getattr(header.get("envmap"), "value", header.get("envmap")) == CUBE or "cube" in str(header.get("envmap")).lower():
        raise BadImage("the EXR file says that it holds the six faces of a cube; only equirectangular ones are read")
    channels = {channel.name: channel for channel in header["channels"]}
    if len(channels) > MOST_CHANNELS:
        raise BadImage(f"the EXR file has {len(channels)} channels, more than {MOST_CHANNELS}; keep R, G, B only")
    if "tiles" in header:
        check_area(header["tiles"].xSize, header["tiles"].ySize, settings, "tiles of ")
    names = next((names for names in ("RGB", "Y") if set(names) <= set(channels)), None)
    if names is None:
        raise BadImage(f"the EXR file has the channels {sorted(channels)[:16]}, not R, G, B or Y")
    names += "A" if "A" in channels else ""
    if any((channels[name].xSampling, channels[name].ySampling) != (1, 1) for name in names):
        raise BadImage("the EXR file stores colour at a lower resolution; save it with R, G, B of full size")
    return names
