"""Decoding panoramas: any file that photographers leave, as 8-bit RGB with an upright 2:1 frame."""

from __future__ import annotations

import io
import logging
import re
import tempfile
import warnings
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, TiffImagePlugin, UnidentifiedImageError

from configs.schema import Ingest
from tasks.bands import whole_sphere

# Pillow's guard against decompression bombs warns at a fixed size; ours is checked from the header, and can be set.
Image.MAX_IMAGE_PIXELS = None
# What is wrong with a file is told once, as its reason. Decoders would tell it again, in other words, for every file.
warnings.filterwarnings("ignore", module=r"PIL\.")
logging.getLogger("PIL").setLevel(logging.CRITICAL)
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)

FORMATS = ("JPEG", "PNG", "TIFF", "WEBP", "AVIF", "BMP")
"""Pillow's names. It knows forty more, some of which run other programs; a panorama needs none of them."""
RADIANCE_SIGNATURES = (b"#?RADIANCE", b"#?RGBE")
EXR_SIGNATURE = b"\x76\x2f\x31\x01"
RADIANCE_SIZE = re.compile(rb"\n\n[-+]Y (\d{1,9}) [-+]X (\d{1,9})\n")
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""EXIF orientation -> what brings the image upright."""
MOST_CHANNELS = 64
"""Those of an EXR file are unpacked together, wanted or not, and renderers may write hundreds."""
BRIGHTEST = 1e12
"""Linear light is cut here: the squares that tone mapping takes stay finite in float32."""
HEIF = (".heic", ".heif", ".hif")
HAS_HEIF = find_spec("pillow_heif") is not None
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
    "a video; take pictures from it first, as with ffmpeg -i VIDEO -vf fps=1 %05d.png": (
        (".mp4", ".mov", ".mkv", ".webm", ".avi")
    ),
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
    ever valid in any label. Pixels that were not observed are 0.
    """

    pixels: NDArray[np.uint8]
    observed: NDArray[np.bool_]

    @property
    def share_observed(self) -> float:
        """Share of the sphere that was photographed (pixels weighted by cos(latitude)); 1.0 only if all of it."""
        if self.observed.all():
            return 1.0
        height = len(self.observed)
        weights = np.cos((0.5 - (np.arange(height) + 0.5) / height) * np.pi)
        return float(min(weights @ self.observed.mean(axis=1) / weights.sum(), np.nextafter(1.0, 0.0)))


class BadImage(ValueError):
    """The file is not a panorama that can be used; the message is the reason for its quarantine."""


def open_panorama(data: bytes, settings: Ingest, vertical_degrees: float = 180.0) -> Panorama:
    """The panorama in a file.

    Alpha is dropped, grey and CMYK become RGB, 16 bits become 8, the EXIF orientation is applied, and high-dynamic-range
    images (linear light) are exposed and tone-mapped.

    Parameters
    ----------
    data : bytes of a JPEG, PNG, TIFF, WebP, BMP, Radiance HDR or OpenEXR file
    settings : Ingest
    vertical_degrees : float
        Height of the field of view around the horizon, where the file shows less than the whole sphere; the rest becomes black.

    Returns
    -------
    Panorama
        Pixels, and where the file shows something.

    Raises
    ------
    BadImage
        The file is empty, truncated, of an unknown format, too large or too small, or not 2:1 (360 degrees wide).
    """
    pixels = _decode(data, settings)
    height, width = pixels.shape[:2]
    _check_aspect(width, height, settings, vertical_degrees)
    observed = np.ones((height, width), np.bool_)
    if vertical_degrees == 180:
        return Panorama(pixels, observed)
    return Panorama(whole_sphere(pixels), whole_sphere(observed))


def decode_panorama(data: bytes, settings: Ingest, vertical_degrees: float = 180.0) -> NDArray[np.uint8]:
    """The pixels alone of :func:`open_panorama`, (H, W, 3) uint8."""
    return open_panorama(data, settings, vertical_degrees).pixels


def _decode(data: bytes, settings: Ingest) -> NDArray[np.uint8]:
    if not data:
        raise BadImage("the file is empty")
    if data.startswith(RADIANCE_SIGNATURES):
        linear = _decode_radiance(data, settings)
    elif data.startswith(EXR_SIGNATURE):
        linear = _decode_exr(data, settings)
    else:
        return np.ascontiguousarray(_decode_ldr(data, settings))
    if not np.isfinite(linear).any():
        raise BadImage("no pixel is finite; the file is damaged, or its writer divided by zero")
    return tone_map(linear, settings.middle_grey)


def _check_area(width: int, height: int, settings: Ingest, what: str = "") -> None:
    if width < 1 or height < 1:
        raise BadImage(f"cannot be decoded: the header says {width}x{height} pixels")
    if width * height > settings.max_megapixels * 1e6:
        raise BadImage(
            f"{what}{width}x{height} pixels are more than ingest.max_megapixels = {settings.max_megapixels:g}; "
            "raise it if the file is what it says"
        )


def _check_size(width: int, height: int, settings: Ingest) -> None:
    _check_area(width, height, settings)
    if width < settings.min_width:
        raise BadImage(f"{width} pixels wide, less than ingest.min_width = {settings.min_width}")


def _check_aspect(width: int, height: int, settings: Ingest, vertical_degrees: float) -> None:
    if abs(width / height * vertical_degrees / 360 - 1) > settings.aspect_tolerance:
        shape = "2:1" if vertical_degrees == 180 else f"360:{vertical_degrees:g}"
        raise BadImage(f"{width}x{height} is not {shape} within ingest.aspect_tolerance = {settings.aspect_tolerance:g}")


def _decode_ldr(data: bytes, settings: Ingest) -> NDArray[np.uint8]:
    try:
        _check_webp(data, settings)
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            _check_area(*image.size, settings)  # before anything that may decode, as reading a PNG's EXIF does
            _check_tiles(image, settings)
            orientation = _orientation(image)
            width, height = image.size[::-1] if orientation >= 5 else image.size
            _check_size(width, height, settings)
            return _to_rgb(image.transpose(TURNS[orientation]) if orientation in TURNS else image)
    except BadImage:
        raise
    except UnidentifiedImageError as error:
        raise BadImage("not an image in a known format (JPEG, PNG, TIFF, WebP, BMP, HDR, EXR)") from error
    except Exception as error:  # on damaged files Pillow's decoders raise whatever their parsers happen to trip over
        raise BadImage(f"cannot be decoded: {str(error)[:200] or type(error).__name__}") from error


def _check_webp(data: bytes, settings: Ingest) -> None:
    """Opening a WebP allocates its canvas, so the header is read first: three kinds of the first chunk."""
    if data[:4] != b"RIFF" or data[8:12] != b"WEBP" or len(data) < 30:
        return
    kind, body = data[12:16], data[20:30]
    if kind == b"VP8X":
        width, height = (int.from_bytes(body[at : at + 3], "little") + 1 for at in (4, 7))
    elif kind == b"VP8L":
        bits = int.from_bytes(body[1:5], "little")
        width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    else:
        width, height = (int.from_bytes(body[at : at + 2], "little") & 0x3FFF for at in (6, 8))
    _check_area(width, height, settings)


def _check_tiles(image: Image.Image, settings: Ingest) -> None:
    """A TIFF's tiles are decoded whole, however little of them the image uses."""
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        width, height = (image.tag_v2.get(tag) for tag in (322, 323))
        if isinstance(width, int) and isinstance(height, int):
            _check_area(width, height, settings, "tiles of ")


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation that is still to be applied; 1 (upright) where there is none, or none that can be read."""
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        return 1  # Pillow turns TIFFs itself, size and pixels
    try:
        orientation = image.getexif().get(0x0112, 1)
    except Exception:  # a malformed EXIF block says nothing of the pixels
        return 1
    return orientation if orientation in range(1, 9) else 1


def _to_rgb(image: Image.Image) -> NDArray[np.uint8]:
    if image.mode.startswith("I;16") or image.mode == "I":
        grey = np.asarray(image).astype(np.float32) / 257.0
        return np.repeat(np.clip(grey + 0.5, 0, 255).astype(np.uint8)[..., None], 3, axis=2)
    if image.mode == "F":
        raise BadImage("a floating-point TIFF has no defined exposure; convert it to EXR or HDR")
    return np.asarray(image.convert("RGB"))


def _decode_radiance(data: bytes, settings: Ingest) -> NDArray[np.float32]:
    size = RADIANCE_SIZE.search(data)
    if size is None:
        raise BadImage("cannot be decoded: the HDR file is truncated or damaged (its header gives no size)")
    _check_size(int(size[2]), int(size[1]), settings)
    try:
        linear = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        raise BadImage(f"cannot be decoded: {error.err}") from error
    if linear is None or linear.ndim != 3:
        raise BadImage("cannot be decoded: the HDR file is truncated or damaged")
    return linear[..., ::-1].astype(np.float32)


def _decode_exr(data: bytes, settings: Ingest) -> NDArray[np.float32]:
    import Imath
    import OpenEXR

    with tempfile.NamedTemporaryFile(suffix=".exr") as file:  # the library reads headers from paths only
        file.write(data)
        file.flush()
        try:
            # Each of the library's two interfaces is used for what it does well: ``InputFile.header`` crashes on damaged
            # files, and ``File`` reports damaged pixels on stdout, where ``--json`` goes.
            header = OpenEXR.File(file.name, header_only=True).header()
            width, height, names = _check_exr_header(header, settings)
            planes = OpenEXR.InputFile(file.name).channels(names, Imath.PixelType(Imath.PixelType.FLOAT))
            linear = np.stack([np.frombuffer(plane, np.float32).reshape(height, width) for plane in planes], axis=-1)
        except BadImage:
            raise
        except Exception as error:  # the library raises nothing more specific
            reason = str(error).replace(file.name, "the file")[:200]
            raise BadImage(f"cannot be decoded: the EXR file is truncated or damaged ({reason})") from error
    return linear if len(names) == 3 else np.repeat(linear, 3, axis=-1)


def _check_exr_header(header: dict[str, Any], settings: Ingest) -> tuple[int, int, str]:
    """Width and height of the pixels that are stored (the data window), and the channels to read: ``RGB`` or ``Y``."""
    (left, top), (right, bottom) = (corner.astype(int).tolist() for corner in header["dataWindow"])
    width, height = right - left + 1, bottom - top + 1
    _check_size(width, height, settings)
    channels = {channel.name: channel for channel in header["channels"]}
    if len(channels) > MOST_CHANNELS:
        raise BadImage(f"the EXR file has {len(channels)} channels, more than {MOST_CHANNELS}; keep R, G, B only")
    if "tiles" in header:
        _check_area(header["tiles"].xSize, header["tiles"].ySize, settings, "tiles of ")
    names = next((names for names in ("RGB", "Y") if set(names) <= set(channels)), None)
    if names is None:
        raise BadImage(f"the EXR file has the channels {sorted(channels)[:16]}, not R, G, B or Y")
    if any((channels[name].xSampling, channels[name].ySampling) != (1, 1) for name in names):
        raise BadImage("the EXR file stores colour at a lower resolution; save it with R, G, B of full size")
    return width, height, names


def tone_map(linear: NDArray[np.float32], middle_grey: float) -> NDArray[np.uint8]:
    """Linear light (H, W, 3) to sRGB uint8: the log-average is exposed to ``middle_grey``, highlights are rolled off.

    Source: Reinhard et al., Photographic tone reproduction for digital images, 2002, eq. 1-4, on luminance, with the white
    point at the 99.9th percentile.
    """
    linear = np.clip(np.nan_to_num(linear, posinf=0.0, neginf=0.0), 0, BRIGHTEST)
    luminance = linear @ np.array([0.2126, 0.7152, 0.0722], np.float32)
    exposure = middle_grey / float(np.exp(np.mean(np.log(luminance + 1e-6))))
    exposed = luminance * exposure
    white = max(float(np.percentile(exposed, 99.9)), 1.0)
    mapped = exposed * (1 + exposed / white**2) / (1 + exposed)
    colour = np.clip(linear * (mapped / np.maximum(luminance, 1e-9))[..., None], 0, 1)
    srgb = np.where(colour <= 0.0031308, colour * 12.92, 1.055 * np.power(colour, 1 / 2.4) - 0.055)
    return np.round(srgb * 255).astype(np.uint8)
