"""Whatever photographers leave is decoded the same way, or refused with a reason."""

import io
import tempfile
from pathlib import Path

import cv2
import numpy as np
import OpenEXR
import pytest
from PIL import Image

from tasks.ingest.images.decode import BadImage, decode_panorama, tone_map
from tasks.ingest.settings import Ingest

SETTINGS = Ingest(min_width=16)
GENERATOR = np.random.default_rng(0)
PIXELS = GENERATOR.integers(0, 256, (32, 64, 3)).astype(np.uint8)


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "BMP"])
def test_lossless_formats_give_the_pixels(kind: str) -> None:
    np.testing.assert_array_equal(decode_panorama(saved(Image.fromarray(PIXELS), kind), SETTINGS), PIXELS)


def test_jpeg_is_close() -> None:
    smooth = cv2.GaussianBlur(PIXELS, (0, 0), 4)
    decoded = decode_panorama(saved(Image.fromarray(smooth), "JPEG", quality=95), SETTINGS)
    assert np.abs(decoded.astype(int) - smooth).mean() < 3


def test_alpha_that_shows_is_dropped_and_grey_becomes_rgb() -> None:
    alpha = np.dstack([PIXELS, np.full((32, 64), 200, np.uint8)])
    np.testing.assert_array_equal(decode_panorama(saved(Image.fromarray(alpha), "PNG"), SETTINGS), PIXELS)
    grey = decode_panorama(saved(Image.fromarray(PIXELS[..., 0]), "PNG"), SETTINGS)
    np.testing.assert_array_equal(grey, np.repeat(PIXELS[..., :1], 3, axis=2))


def test_sixteen_bits_become_eight() -> None:
    wide = (PIXELS[..., 0].astype(np.uint16)) * 257
    decoded = decode_panorama(saved(Image.fromarray(wide), "PNG"), SETTINGS)
    np.testing.assert_array_equal(decoded[..., 0], PIXELS[..., 0])
    colour = cv2.imencode(".png", (PIXELS[..., ::-1].astype(np.uint16)) * 257)[1].tobytes()
    assert np.abs(decode_panorama(colour, SETTINGS).astype(int) - PIXELS).max() <= 1


def test_cmyk_becomes_rgb() -> None:
    image = Image.fromarray(cv2.GaussianBlur(PIXELS, (0, 0), 4)).convert("CMYK")
    decoded = decode_panorama(saved(image, "TIFF"), SETTINGS)
    np.testing.assert_array_equal(decoded, np.asarray(image.convert("RGB")))


def test_the_exif_orientation_is_applied() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # stored on its side
    sideways = Image.fromarray(PIXELS).transpose(Image.Transpose.ROTATE_90)
    np.testing.assert_array_equal(decode_panorama(saved(sideways, "PNG", exif=exif), SETTINGS), PIXELS)


def encoded(linear: np.ndarray, suffix: str) -> bytes:
    if suffix == ".hdr":
        return cv2.imencode(suffix, linear[..., ::-1])[1].tobytes()
    with tempfile.NamedTemporaryFile(suffix=suffix) as file:
        OpenEXR.File({}, {"RGB": np.ascontiguousarray(linear)}).write(file.name)
        return Path(file.name).read_bytes()


@pytest.mark.parametrize("suffix", [".hdr", ".exr"])
def test_high_dynamic_range_is_exposed_and_tone_mapped(suffix: str) -> None:
    linear = (GENERATOR.random((32, 64, 3)) * 0.4 + 0.01).astype(np.float32)
    linear[4:6, 4:6] = 5000.0
    decoded = decode_panorama(encoded(linear, suffix), SETTINGS)
    brighter = decode_panorama(encoded(linear * 8, suffix), SETTINGS)
    assert 90 < np.median(decoded) < 170
    assert decoded[4, 4].min() > 240
    assert np.abs(decoded.astype(int) - brighter).max() <= 3, "exposure is relative to the image's own light"


def test_tone_mapping_of_a_uniform_image_is_a_closed_form() -> None:
    """A constant image is exposed to 0.18; with the white point at 1 Reinhard's curve gives 0.18 (1 + 0.18) / 1.18 = 0.18."""
    mapped = tone_map(np.full((8, 16, 3), 3.7, np.float32), 0.18)
    expected = round(255 * (1.055 * 0.18 ** (1 / 2.4) - 0.055))
    assert np.abs(mapped.astype(int) - expected).max() <= 1


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b"this is no image at all", "not an image in a known format"),
        (saved(Image.fromarray(PIXELS), "PNG")[:200], "cannot be decoded"),
        (saved(Image.fromarray(PIXELS), "JPEG")[:400], "cannot be decoded"),
        (saved(Image.fromarray(PIXELS[:, :40]), "PNG"), "40x32 is not 2:1"),
        (saved(Image.fromarray(PIXELS[:4, :8]), "PNG"), "ingest.min_width"),
        (saved(Image.new("1", (16000, 8000)), "PNG"), "ingest.max_megapixels"),
        (encoded(np.ones((32, 64, 3), np.float32), ".exr")[:400], "truncated"),
        (b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y 32 +X 64\nxx", "truncated"),
    ],
)
def test_what_is_no_panorama_is_refused_with_a_reason(data: bytes, reason: str) -> None:
    with pytest.raises(BadImage, match=reason):
        decode_panorama(data, Ingest(min_width=16, max_megapixels=100))
