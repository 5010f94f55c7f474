"""Whatever bytes come: pixels (H, W, 3) uint8 of a 2:1 image, or a BadImage; in bounded time and memory."""

import random
from pathlib import Path

import fsspec
import numpy as np
import pytest
from PIL import Image

from tasks.ingest.images.decode import BadImage, decode_panorama
from tasks.ingest.images.headers import read_size
from tasks.ingest.settings import Ingest
from tests.faults.test_bad_images import exr, hdr, jpeg_of_size, saved, tiff, vp8x
from tests.fuzz.support import bounded, corpus, fuzz, mutated, outcome

SETTINGS = Ingest(min_width=16, max_megapixels=4)
PIXELS = np.random.default_rng(0).integers(0, 256, (16, 32, 3)).astype(np.uint8)
LINEAR = PIXELS.astype(np.float32) / 255
IMAGE = Image.fromarray(PIXELS)
EXIF = Image.Exif()
EXIF[0x0112], EXIF[0x010F] = 6, "maker"


def originals() -> list[bytes]:
    """Small valid files of every format and of many of their variants."""
    files = [saved(IMAGE, kind) for kind in ("PNG", "JPEG", "TIFF", "WEBP", "BMP")]
    files += [saved(IMAGE.convert(mode), "PNG") for mode in ("L", "LA", "RGBA", "P", "1")]
    files += [saved(IMAGE, "TIFF", compression=name) for name in ("tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg")]
    files += [saved(IMAGE.convert("1"), "TIFF", compression="group4"), saved(IMAGE.convert("CMYK"), "TIFF")]
    files += [saved(IMAGE, "JPEG", progressive=True), saved(IMAGE.convert("CMYK"), "JPEG")]
    files += [saved(IMAGE, "WEBP", lossless=True), saved(IMAGE.convert("P"), "BMP"), vp8x(64, 32), jpeg_of_size(64, 32)]
    files += [saved(IMAGE, kind, exif=EXIF) for kind in ("PNG", "JPEG", "TIFF", "WEBP")]
    files += [saved(IMAGE, kind, save_all=True, append_images=[IMAGE]) for kind in ("PNG", "TIFF", "WEBP")]
    return [
        *files,
        hdr(LINEAR),
        exr({"RGB": LINEAR}),
        exr({"RGB": LINEAR.astype(np.float16)}),
        exr({"Y": LINEAR[..., 0]}),
        tiff(32, 16),
    ]


XMP = (
    b'<r:RDF xmlns:r="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><r:Description '
    b'xmlns:GPano="http://ns.google.com/photos/1.0/panorama/" GPano:FullPanoWidthPixels="64" GPano:FullPanoHeightPixels="32" '
    b'GPano:CroppedAreaImageWidthPixels="32" GPano:CroppedAreaImageHeightPixels="16" GPano:CroppedAreaLeftPixels="9" '
    b'GPano:CroppedAreaTopPixels="8"/></r:RDF>'
)
ORIGINALS = [*originals(), *(saved(IMAGE, kind, xmp=XMP) for kind in ("JPEG", "WEBP", "AVIF"))]


def check(data: bytes) -> None:
    pixels = outcome(lambda: decode_panorama(data, SETTINGS), BadImage)
    if isinstance(pixels, BadImage):
        assert 0 < len(str(pixels)) < 400
        assert "MemoryError" not in str(pixels)
        return
    height, width, channels = pixels.shape
    assert (pixels.dtype, channels) == (np.uint8, 3)
    assert width >= SETTINGS.min_width
    assert abs(width / height / 2 - 1) <= SETTINGS.aspect_tolerance
    assert width * height <= SETTINGS.max_megapixels * 1e6


def test_damaged_images() -> None:
    files = ORIGINALS
    decoded = [outcome(lambda data=data: decode_panorama(data, SETTINGS), BadImage) for data in files]
    assert sum(isinstance(one, np.ndarray) for one in decoded) > 20, "most originals are sound"
    fuzz(mutated(files), check, 400)


def test_headers_tell_what_is_decoded() -> None:
    """Whatever decodes has the size that a look at its header told, and what the header refuses does not decode."""
    for index in range(1200):
        data = ORIGINALS[index % len(ORIGINALS)]
        draw = random.Random(index)
        if index >= len(ORIGINALS):
            at = draw.randrange(len(data))
            data = data[:at] + bytes([draw.randrange(256)]) + data[at + 1 :]
        pixels = outcome(lambda data=data: decode_panorama(data, SETTINGS), BadImage)
        if isinstance(pixels, BadImage):
            continue
        with fsspec.filesystem("memory").open("/headers/one", "wb") as file:
            file.write(data)
        assert read_size("memory://headers/one") == pixels.shape[1::-1], index


@pytest.mark.parametrize("path", corpus("images"), ids=lambda path: path.name)
def test_images_of_the_corpus(path: Path) -> None:
    with bounded():
        check(path.read_bytes())
