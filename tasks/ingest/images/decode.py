"""Decoding panoramas: any file that photographers leave, as 8-bit RGB with an upright 2:1 frame.

All stages, reports and exports see a panorama through :func:`open_panorama`. What belongs to one format alone is in modules of
their own: ldr (what Pillow reads), hdr, exr, tiff, jpeg, png; gpano and places say where pixels lie on the sphere.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from tasks.ingest.images import exr, hdr, tiff
from tasks.ingest.images.hdr import tone_map
from tasks.ingest.images.ldr import FORMATS, HAS_HEIF, Decoded, decode_ldr
from tasks.ingest.images.places import settle_place
from tasks.ingest.images.size import BadImage
from tasks.ingest.settings import Ingest

__all__ = ["FORMATS", "NOT_READ", "SUFFIXES", "BadImage", "Panorama", "decode_panorama", "open_panorama", "tone_map"]

# What is wrong with a file is told once, as its reason. Decoders would tell it again, in other words, for every file.
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)

HEIF = (".heic", ".heif", ".hif")
READ = (".jpg", ".jpeg", ".jfif", ".jpe", ".png", ".tif", ".tiff", ".webp", ".avif", ".bmp", ".hdr", ".exr")
SUFFIXES = (*READ, *HEIF) if HAS_HEIF else READ
"""Ends of the names of files that are read."""
_OTHER_KINDS = {
    "raw data of a sensor; develop it, and save a TIFF": (
        (".dng", ".gpr", ".cr2", ".cr3", ".nef", ".arw", ".raf", ".orf", ".rw2", ".pef")
    ),
    "what each lens saw, not yet stitched; export equirectangular files with the camera's own program": (
        (".insp", ".insv", ".360", ".lrv")
    ),
    "a video; read such files as clips, with kind: videos under source:": ((".mp4", ".mov", ".mkv", ".webm", ".avi")),
    "of a format that is not read; save it as PNG or TIFF": (
        (".gif", ".jxl", ".jp2", ".j2k", ".jpx", ".psd", ".psb", ".tga", ".dds", ".ktx", ".ktx2", ".pfm", ".ppm")
    ),
    "read once its library is there: pip install 'panolabel[heif]'": () if HAS_HEIF else HEIF,
}
NOT_READ: dict[str, str] = {suffix: why for why, suffixes in _OTHER_KINDS.items() for suffix in suffixes}
"""Ends of the names of files that may well hold panoramas and are not read -> what they are, and what to do."""


@dataclass(frozen=True)
class Panorama:
    """A decoded panorama, always the whole sphere as one upright 2:1 frame.

    ``pixels`` is (H, W, 3) uint8 RGB; ``observed`` (H, W) bool says which directions were photographed at all: nothing else is
    ever valid in any label. Pixels that were not observed are 0. ``plain`` says that any decoder makes the same pixels of the
    file's bytes; ``pose`` holds what the file says of how the camera was held (``pose_pitch_degrees``, ...).
    """

    pixels: NDArray[np.uint8]
    observed: NDArray[np.bool_]
    plain: bool = False
    pose: Mapping[str, float] = field(default_factory=dict)

    @property
    def share_observed(self) -> float:
        """Share of the sphere that was photographed (pixels weighted by cos(latitude)); 1.0 only if all of it."""
        if self.observed.all():
            return 1.0
        height = len(self.observed)
        weights = np.cos((0.5 - (np.arange(height) + 0.5) / height) * np.pi)
        return float(min(weights @ self.observed.mean(axis=1) / weights.sum(), np.nextafter(1.0, 0.0)))


def open_panorama(data: bytes, settings: Ingest, vertical_degrees: float = 180.0) -> Panorama:
    """The panorama in a file.

    Grey, CMYK, LAB and colours with a profile become sRGB, 16 bits become 8, the EXIF orientation is applied, and linear light
    (HDR, EXR, floating-point TIFF) is exposed and tone-mapped. A part of the sphere is put in its place. Pixels that are more
    than half transparent, or light that is not a finite number, were not observed.

    Parameters
    ----------
    data : bytes of a JPEG, PNG, TIFF, WebP, AVIF, BMP, Radiance HDR or OpenEXR file, or HEIF where ``pillow-heif`` is installed
    settings : Ingest
    vertical_degrees : float
        Height of the field of view around the horizon, where the file shows less than the whole sphere and does not say so.

    Returns
    -------
    Panorama
        Pixels, and where the file shows something.

    Raises
    ------
    BadImage
        The file is empty, truncated, damaged, of a kind that is not read, too large or too small, not equirectangular, not 2:1 as
        a whole, shows nothing, or contradicts itself or ``vertical_degrees``.
    """
    decoded = _decode(data, settings)
    height, width = decoded.pixels.shape[:2]
    place = settle_place(width, height, decoded.place, vertical_degrees, settings)
    seen = np.ones((height, width), np.bool_) if decoded.observed is None else decoded.observed
    observed = place.fill(seen)
    if not observed.any():
        raise BadImage("the file shows nothing: every pixel is transparent, or outside of the frame")
    pixels = decoded.pixels if seen.all() else decoded.pixels * seen[..., None]
    plain = decoded.plain and bool(observed.all()) and observed.shape == (height, width)
    return Panorama(np.ascontiguousarray(place.fill(pixels)), observed, plain, decoded.pose)


def decode_panorama(data: bytes, settings: Ingest, vertical_degrees: float = 180.0) -> NDArray[np.uint8]:
    """The pixels alone of :func:`open_panorama`, (H, W, 3) uint8."""
    return open_panorama(data, settings, vertical_degrees).pixels


def _decode(data: bytes, settings: Ingest) -> Decoded:
    if not data:
        raise BadImage("the file is empty")
    if data.startswith(hdr.SIGNATURES):
        return _exposed(hdr.decode_radiance(data, settings), settings)
    if data.startswith(exr.SIGNATURE):
        return _exposed(exr.decode_exr(data, settings), settings)
    if data.startswith(tiff.SIGNATURES):
        tags = tiff.read_tags(io.BytesIO(data))
        tiff.refuse_kind(tags)
        if tiff.is_light(tags):
            return _exposed(tiff.decode_light(data, tags, settings), settings)
    return decode_ldr(data, settings)


def _exposed(light: hdr.Light, settings: Ingest) -> Decoded:
    """Light as colours; where it is not finite nothing was measured."""
    finite = np.isfinite(light.linear).all(axis=-1)
    observed = light.observed & finite
    if not observed.any():
        raise BadImage(
            "the file shows nothing: every pixel is transparent"
            if finite.any()
            else "no pixel is finite; the file is damaged, or its writer divided by zero"
        )
    return Decoded(tone_map(light.linear, settings.middle_grey, observed), observed, light.place, False, light.pose)
