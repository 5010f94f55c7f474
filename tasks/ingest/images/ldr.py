"""Pictures of 8 or 16 bits, which Pillow reads: upright, in sRGB, with what their alpha and their XMP say."""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any, BinaryIO

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, TiffImagePlugin, UnidentifiedImageError

from tasks.ingest.images import gpano, jpeg, png, tiff
from tasks.ingest.images.colour import to_srgb
from tasks.ingest.images.hdr import SEEN
from tasks.ingest.images.places import Place
from tasks.ingest.images.size import BadImage, check_area
from tasks.ingest.settings import Ingest

# Pillow's guard against decompression bombs warns at a fixed size; ours is checked from the header, and can be set.
Image.MAX_IMAGE_PIXELS = None
# What is wrong with a file is told once, as its reason. Pillow would tell it again, in other words, for every file.
warnings.filterwarnings("ignore", module=r"PIL\.")
logging.getLogger("PIL").setLevel(logging.CRITICAL)

HAS_HEIF = find_spec("pillow_heif") is not None
if HAS_HEIF:
    import pillow_heif

    pillow_heif.register_heif_opener(thumbnails=False)

FORMATS = ("JPEG", "PNG", "TIFF", "WEBP", "AVIF", "BMP", *(("HEIF",) if HAS_HEIF else ()))
"""Pillow's names. It knows forty more, some of which run other programs; a panorama needs none of them."""
HEIF_BRANDS = (b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1")
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
ALPHA = ("RGBA", "LA", "PA", "RGBa", "La")


@dataclass(frozen=True)
class Decoded:
    """What a file shows, upright: (h, w, 3) uint8 sRGB, where it shows it (None: everywhere), and what it says of itself.

    ``plain``: the pixels are what any decoder makes of the file's bytes.
    """

    pixels: NDArray[np.uint8]
    observed: NDArray[np.bool_] | None = None
    place: Place | None = None
    plain: bool = False
    pose: Mapping[str, float] = field(default_factory=dict)


def decode_ldr(data: bytes, settings: Ingest) -> Decoded:
    """Decode a file of any of :data:`FORMATS`.

    Raises
    ------
    BadImage
        It is none of them, damaged, or too large.
    """
    try:
        _check_webp(data, settings)
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            check_area(*image.size, settings)  # before anything that may decode, as reading a PNG's EXIF does
            _check_tiles(image, settings)
            image.load()
            _refuse_damage(image, data)
            orientation = _orientation(image)
            upright = _with_true_alpha(image, data)
            upright = upright.transpose(TURNS[orientation]) if orientation in TURNS else upright
            check_area(*upright.size, settings)
            about = gpano.properties(gpano.packets(image))
            place = gpano.place(about, *upright.size)
            pixels, observed, same = _to_rgb(upright, image.info)
            plain = same and orientation == 1 and _is_plain(image, data)
            return Decoded(pixels, observed, place, plain, gpano.pose(about))
    except BadImage:
        raise
    except UnidentifiedImageError as error:
        raise BadImage(_unknown(data)) from error
    except Exception as error:  # on damaged files Pillow's decoders raise whatever their parsers happen to trip over
        raise BadImage(f"cannot be decoded: {str(error)[:200] or type(error).__name__}") from error


def read_header(file: BinaryIO) -> tuple[int, int, Place | None]:
    """Width and height of a picture once it is upright, and the place that its XMP states, without decoding a pixel.

    Raises
    ------
    BadImage
        As :func:`decode_ldr`, as far as a header tells.
    """
    try:
        with Image.open(file, formats=FORMATS) as image:
            if image.format == "PNG":  # Pillow would decode the picture to see what stands after it
                image.info.update({"exif": b"", **png.metadata(file)})
            width, height = image.size[::-1] if _orientation(image) >= 5 else image.size
            return width, height, gpano.place(gpano.properties(gpano.packets(image)), width, height)
    except BadImage:
        raise
    except UnidentifiedImageError as error:
        file.seek(0)
        raise BadImage(_unknown(file.read(1 << 16))) from error
    except Exception as error:  # as above
        raise BadImage(f"cannot be decoded: {str(error)[:200] or type(error).__name__}") from error


def _unknown(data: bytes) -> str:
    if data.startswith(tiff.SIGNATURES) and (tags := tiff.read_tags(io.BytesIO(data))):
        return tiff.describe(tags)
    if data[4:8] == b"ftyp" and data[8:12] in HEIF_BRANDS and not HAS_HEIF:
        return "a HEIF picture; pip install 'panolabel[heif]' lets it be read"
    return "not an image in a known format (JPEG, PNG, TIFF, WebP, AVIF, BMP, HDR, EXR)"


def _refuse_damage(image: Image.Image, data: bytes) -> None:
    """Refuse what the decoders have passed over in silence."""
    found = ""
    if data.startswith(b"\xff\xd8"):
        found = jpeg.damage(data)
    elif image.format == "PNG":
        found = png.damage(io.BytesIO(data))
    elif image.format == "TIFF":
        found = tiff.damage(data, tiff.read_tags(io.BytesIO(data)))
    elif image.format == "WEBP" and len(data) < int.from_bytes(data[4:8], "little") + 8:
        found = "the WebP is truncated"
    if found:
        raise BadImage(f"cannot be decoded: the picture is damaged ({found[:200]})")


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
    check_area(width, height, settings)


def _check_tiles(image: Image.Image, settings: Ingest) -> None:
    """A TIFF's tiles are decoded whole, however little of them the image uses."""
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        width, height = (image.tag_v2.get(tag) for tag in (tiff.TILE_WIDTH, tiff.TILE_HEIGHT))
        if isinstance(width, int) and isinstance(height, int):
            check_area(width, height, settings, "tiles of ")


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation that is still to be applied; 1 (upright) where there is none, or none that can be read."""
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        return 1  # Pillow turns TIFFs itself, size and pixels
    try:
        orientation = image.getexif().get(tiff.ORIENTATION, 1)
    except Exception:  # a malformed EXIF block says nothing of the pixels
        return 1
    return orientation if orientation in range(1, 9) else 1


def _is_plain(image: Image.Image, data: bytes) -> bool:
    """Whether a file is of a kind that all decoders agree on: one picture of 8 bits, in no TIFF and none of the newer formats."""
    if image.format == "PNG":
        return data[24] <= 8 and not getattr(image, "is_animated", False)
    if image.format == "WEBP":
        return not getattr(image, "is_animated", False)
    return image.format in ("JPEG", "MPO", "BMP")


def _to_rgb(image: Image.Image, info: Mapping[Any, Any]) -> tuple[NDArray[np.uint8], NDArray[np.bool_] | None, bool]:
    """Pixels in sRGB, where they are seen, and whether they are the file's own numbers."""
    if image.mode.startswith("I;16"):
        return _grey16(image, info)
    if image.mode in ("I", "F"):
        raise BadImage(f"pixels of mode {image.mode} have no defined white; save the picture with 8 or 16 bits")
    observed, same = None, image.mode in ("RGB", "L")
    if image.mode in ALPHA or "transparency" in info:
        blended = image.convert("LA").convert("RGBA") if image.mode == "La" else image.convert("RGBA")
        observed = np.asarray(blended.getchannel("A")) >= SEEN * 255
        image, same = blended.convert("RGB"), False
    elif image.mode not in ("RGB", "L", "CMYK", "LAB"):
        image = image.convert("RGB")
    rgb, moved = to_srgb(image, info.get("icc_profile"))
    return np.asarray(rgb), observed, same and not moved


def _with_true_alpha(image: Image.Image, data: bytes) -> Image.Image:
    """A PNG whose one transparent colour has another depth than Pillow's pixels, with which Pillow would compare it in vain."""
    clear, depth = image.info.get("transparency"), data[24]
    if image.format == "PNG" and depth == 16 and isinstance(clear, tuple):
        found = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)  # of all 16 bits, and not turned
        if found is None or found.shape != (image.height, image.width, 4):
            raise BadImage("a PNG of 16 bits with a transparent colour cannot be decoded; save it with an alpha channel")
        image = image.convert("RGB")
        image.putalpha(Image.fromarray(np.where(found[..., 3] > 0, np.uint8(255), np.uint8(0))))
    elif image.format == "PNG" and depth < 8 and image.mode == "L" and isinstance(clear, int):
        image.info["transparency"] = clear * 255 // (2**depth - 1)
    return image


def _grey16(image: Image.Image, info: Mapping[Any, Any]) -> tuple[NDArray[np.uint8], NDArray[np.bool_] | None, bool]:
    wide = np.asarray(image)
    grey = np.clip(wide.astype(np.float32) / 257.0 + 0.5, 0, 255).astype(np.uint8)
    rgb, _ = to_srgb(Image.fromarray(grey), info.get("icc_profile"))
    clear = info.get("transparency")  # of the format's one transparent value, Pillow keeps no alpha here
    return np.asarray(rgb), None if clear is None else wide != clear, False
