"""Decoding panoramas: any file that photographers leave, as 8-bit RGB with an upright 2:1 frame."""

from __future__ import annotations

import io
import tempfile

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from configs.schema import Ingest

# Pillow's guard against decompression bombs warns at a fixed size; ours is checked from the header, and can be set.
Image.MAX_IMAGE_PIXELS = None

RADIANCE_SIGNATURES = (b"#?RADIANCE", b"#?RGBE")
EXR_SIGNATURE = b"\x76\x2f\x31\x01"
SUFFIXES = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp", ".bmp", ".hdr", ".exr")


class BadImage(ValueError):
    """The file is not a panorama that can be used; the message is the reason for its quarantine."""


def decode_panorama(data: bytes, settings: Ingest) -> NDArray[np.uint8]:
    """The pixels of a panorama file.

    Alpha is dropped, grey and CMYK become RGB, 16 bits become 8, the EXIF orientation is applied, and high-dynamic-range
    images (linear light) are exposed and tone-mapped.

    Parameters
    ----------
    data : bytes of a JPEG, PNG, TIFF, WebP, BMP, Radiance HDR or OpenEXR file
    settings : Ingest

    Returns
    -------
    (H, W, 3) uint8 array, RGB

    Raises
    ------
    BadImage
        The file is empty, truncated, of an unknown format, too large or too small, or not 2:1.
    """
    if not data:
        raise BadImage("the file is empty")
    if data.startswith(RADIANCE_SIGNATURES):
        linear = _decode_radiance(data)
    elif data.startswith(EXR_SIGNATURE):
        linear = _decode_exr(data)
    else:
        return np.ascontiguousarray(_decode_ldr(data, settings))
    _check_size(linear.shape[1], linear.shape[0], settings)
    return tone_map(linear, settings.middle_grey)


def _check_size(width: int, height: int, settings: Ingest) -> None:
    if width * height > settings.max_megapixels * 1e6:
        raise BadImage(
            f"{width}x{height} pixels are more than ingest.max_megapixels = {settings.max_megapixels:g}; "
            "raise it if the file is what it says"
        )
    if width < settings.min_width:
        raise BadImage(f"{width} pixels wide, less than ingest.min_width = {settings.min_width}")
    if abs(width / height / 2 - 1) > settings.aspect_tolerance:
        raise BadImage(f"{width}x{height} is not 2:1 within ingest.aspect_tolerance = {settings.aspect_tolerance:g}")


def _decode_ldr(data: bytes, settings: Ingest) -> NDArray[np.uint8]:
    try:
        with Image.open(io.BytesIO(data)) as image:
            turned = image.getexif().get(0x0112, 1) in (5, 6, 7, 8)
            width, height = image.size[::-1] if turned else image.size
            _check_size(width, height, settings)
            upright = ImageOps.exif_transpose(image)
            return _to_rgb(upright)
    except UnidentifiedImageError as error:
        raise BadImage("not an image in a known format (JPEG, PNG, TIFF, WebP, BMP, HDR, EXR)") from error
    except (OSError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
        raise BadImage(f"cannot be decoded: {error}") from error


def _to_rgb(image: Image.Image) -> NDArray[np.uint8]:
    if image.mode.startswith("I;16") or image.mode == "I":
        grey = np.asarray(image).astype(np.float32) / 257.0
        return np.repeat(np.clip(grey + 0.5, 0, 255).astype(np.uint8)[..., None], 3, axis=2)
    if image.mode == "F":
        raise BadImage("a floating-point TIFF has no defined exposure; convert it to EXR or HDR")
    return np.asarray(image.convert("RGB"))


def _decode_radiance(data: bytes) -> NDArray[np.float32]:
    try:
        linear = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        raise BadImage(f"cannot be decoded: {error.err}") from error
    if linear is None:
        raise BadImage("cannot be decoded: the HDR file is truncated or damaged")
    return linear[..., ::-1].astype(np.float32)


def _decode_exr(data: bytes) -> NDArray[np.float32]:
    import OpenEXR

    with tempfile.NamedTemporaryFile(suffix=".exr") as file:  # the library reads from paths only
        file.write(data)
        file.flush()
        try:
            channels = {name: channel.pixels for name, channel in OpenEXR.File(file.name).channels().items()}
        except Exception as error:  # the library raises nothing more specific
            raise BadImage(f"cannot be decoded: the EXR file is truncated or damaged ({error})") from error
    for name in ("RGB", "RGBA"):
        if name in channels:
            return channels[name][..., :3].astype(np.float32)
    if "Y" in channels:
        return np.repeat(channels["Y"][..., None], 3, axis=2).astype(np.float32)
    raise BadImage(f"the EXR file has the channels {sorted(channels)}, not R, G, B or Y")


def tone_map(linear: NDArray[np.float32], middle_grey: float) -> NDArray[np.uint8]:
    """Linear light (H, W, 3) to sRGB uint8: the log-average is exposed to ``middle_grey``, highlights are rolled off.

    Source: Reinhard et al., Photographic tone reproduction for digital images, 2002, eq. 1-4, on luminance, with the white
    point at the 99.9th percentile.
    """
    linear = np.nan_to_num(np.maximum(linear, 0), posinf=0.0)
    luminance = linear @ np.array([0.2126, 0.7152, 0.0722], np.float32)
    exposure = middle_grey / float(np.exp(np.mean(np.log(luminance + 1e-6))))
    exposed = luminance * exposure
    white = max(float(np.percentile(exposed, 99.9)), 1.0)
    mapped = exposed * (1 + exposed / white**2) / (1 + exposed)
    colour = np.clip(linear * (mapped / np.maximum(luminance, 1e-9))[..., None], 0, 1)
    srgb = np.where(colour <= 0.0031308, colour * 12.92, 1.055 * np.power(colour, 1 / 2.4) - 0.055)
    return np.round(srgb * 255).astype(np.uint8)
