"""The one transparent colour of a PNG (chunk tRNS), at every depth: PNG specification, 11.3.2.1."""

import struct
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image

from tasks.ingest.images.decode import open_panorama
from tasks.ingest.settings import Ingest

SETTINGS = Ingest(min_width=16)
HEIGHT, WIDTH = 32, 64
GREY, RGB = 0, 2


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(samples: np.ndarray, depth: int, clear: tuple[int, ...], *others: bytes) -> bytes:
    """Samples (H, W, 1 or 3) written by hand, since no library writes all of these."""
    height, width, channels = samples.shape
    kind = GREY if channels == 1 else RGB
    shifts = np.arange(depth)[::-1]
    bits = (samples.reshape(height, -1, 1) >> shifts & 1).reshape(height, -1)
    rows = b"".join(b"\0" + np.packbits(row.astype(np.uint8)).tobytes() for row in bits)
    head = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0)
    body = [
        chunk(b"IHDR", head),
        *others,
        chunk(b"tRNS", struct.pack(f">{len(clear)}H", *clear)),
        chunk(b"IDAT", zlib.compress(rows)),
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(body) + chunk(b"IEND", b"")


@pytest.mark.parametrize(("depth", "channels"), [(1, 1), (2, 1), (4, 1), (8, 1), (16, 1), (8, 3), (16, 3)])
def test_exactly_the_transparent_colour_was_not_seen(depth: int, channels: int) -> None:
    draw = np.random.default_rng(depth)
    clear = tuple(draw.integers(0, 2**depth, channels).tolist())
    samples = draw.integers(0, 2**depth, (HEIGHT, WIDTH, channels))
    samples[5:9, 7:30] = clear
    if depth == 16:
        samples[20:24] = clear
        samples[20:24, :, -1] ^= 1  # another colour, which is the same in its upper 8 bits
    panorama = open_panorama(png(samples, depth, clear), SETTINGS)
    seen = (samples != clear).any(axis=2)
    np.testing.assert_array_equal(panorama.observed, seen)
    eight = np.broadcast_to(samples / (2**depth - 1) * 255, (HEIGHT, WIDTH, 3))
    assert np.abs(panorama.pixels[seen] - eight[seen]).max() <= 1


def test_it_lies_where_the_picture_is_turned_to() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    samples = np.random.default_rng(0).integers(0, 2**16, (WIDTH, HEIGHT, 3))
    samples[:10, :5] = 1, 2, 3
    data = png(samples, 16, (1, 2, 3), chunk(b"eXIf", exif.tobytes().removeprefix(b"Exif\0\0")))
    np.testing.assert_array_equal(open_panorama(data, SETTINGS).observed, np.rot90((samples != [1, 2, 3]).any(axis=2), -1))


def test_an_interlaced_one_too() -> None:
    """Pillow reads, and no library here writes, interlaced ones: the seven passes of Adam7 by hand."""
    samples = np.random.default_rng(1).integers(0, 2**16, (HEIGHT, WIDTH, 3))
    samples[3:20, 11:40] = 700, 800, 900
    rows = b""
    for top, left, down, across in (
        (0, 0, 8, 8),
        (0, 4, 8, 8),
        (4, 0, 8, 4),
        (0, 2, 4, 4),
        (2, 0, 4, 2),
        (0, 1, 2, 2),
        (1, 0, 2, 1),
    ):
        rows += b"".join(b"\0" + row.astype(">u2").tobytes() for row in samples[top::down, left::across])
    head = struct.pack(">IIBBBBB", WIDTH, HEIGHT, 16, RGB, 0, 0, 1)
    body = chunk(b"IHDR", head) + chunk(b"tRNS", struct.pack(">3H", 700, 800, 900)) + chunk(b"IDAT", zlib.compress(rows))
    data = b"\x89PNG\r\n\x1a\n" + body + chunk(b"IEND", b"")
    assert cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR).shape == (HEIGHT, WIDTH, 3)
    np.testing.assert_array_equal(open_panorama(data, SETTINGS).observed, (samples != [700, 800, 900]).any(axis=2))
