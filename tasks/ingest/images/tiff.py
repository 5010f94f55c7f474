"""Kinds of TIFF: which are light, which are colours, and which would be read wrongly, in silence, by the libraries at hand."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import Any, BinaryIO

import cv2
import numpy as np
from PIL import TiffImagePlugin

from tasks.ingest.images import gpano, jpeg
from tasks.ingest.images.hdr import SEEN, Light
from tasks.ingest.images.places import Place
from tasks.ingest.images.size import BadImage, check_area
from tasks.ingest.settings import Ingest

SIGNATURES = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, ORIENTATION, SAMPLES = 256, 257, 258, 259, 262, 274, 277
PLANAR, TILE_WIDTH, TILE_HEIGHT, FORMAT, SUBFILE, EXTRA, XMP = 284, 322, 323, 339, 254, 338, 700
FLOAT, SIGNED = 3, 2
DEFLATE, JPEG, JPEG_TABLES = (8, 32946), 7, 347
PIECE = 1 << 20
ASSOCIATED, UNASSOCIATED = 1, 2


def read_tags(file: BinaryIO) -> Mapping[int, Any]:
    """The tags of the first picture of a file that stands at its beginning; empty if they cannot be read."""
    try:
        head = file.read(16)
        ifd = TiffImagePlugin.ImageFileDirectory_v2(head if b"+" in head[2:4] else head[:8])
        file.seek(ifd.next)
        ifd.load(file)
        return {tag: ifd[tag] for tag in (*range(SUBFILE, FORMAT + 1), JPEG_TABLES, XMP) if tag in ifd}
    except Exception:  # on damaged files Pillow's parsers raise whatever they happen to trip over
        return {}


def is_light(tags: Mapping[int, Any]) -> bool:
    """Whether the samples are floating-point numbers."""
    return _one(tags, FORMAT) == FLOAT


def refuse_kind(tags: Mapping[int, Any]) -> None:
    """Raise BadImage with the true reason for kinds that would be read wrongly or not at all."""
    bits, form = _one(tags, BITS), _one(tags, FORMAT)
    if _one(tags, SUBFILE, 0) & 1:
        raise BadImage("the first picture of the TIFF is a reduced copy of another; put the full one first")
    if form == FLOAT and bits not in (32, 64):
        raise BadImage(f"a TIFF of {bits}-bit floats is not read; save it with 32 bits, or as EXR")
    if form == SIGNED:
        raise BadImage("a TIFF of signed integers has no defined black and white; save it unsigned, with 8 or 16 bits")
    if form not in (FLOAT, SIGNED) and bits not in (1, 2, 4, 8, 16):
        raise BadImage(f"a TIFF of {bits}-bit integers has no defined white; save it with 8 or 16 bits")
    if _one(tags, PLANAR) == 2 and _one(tags, SAMPLES) > 1 and bits != 8:
        raise BadImage(f"a TIFF of {bits} bits with colours in planes of their own is not read; save it interleaved (chunky)")
    if _one(tags, PHOTOMETRIC, 2) == 0 and bits == 16:
        raise BadImage("a TIFF of 16 bits in which 0 is white is not read; save it with 0 as black")


def describe(tags: Mapping[int, Any]) -> str:
    """The kind of a TIFF in a few words, for a reason."""
    return (
        f"a TIFF of this kind is not read ({_one(tags, SAMPLES)} samples of {_one(tags, BITS)} bits, photometric "
        f"{_one(tags, PHOTOMETRIC, 2)}, compression {_one(tags, COMPRESSION)}); save it as RGB of 8 or 16 bits"
    )


def damage(data: bytes, tags: Mapping[int, Any]) -> str:
    """What is wrong with strips or tiles that have means to tell, deflated ones and JPEGs; empty if nothing is.

    libtiff looks at neither checksums nor the warnings of libjpeg. Uncompressed data cannot tell.
    """
    offsets, counts = ((tags.get(tag, tags.get(other, ()))) for tag, other in ((273, 324), (279, 325)))
    compression, most = _one(tags, COMPRESSION), _most_bytes(tags)
    for offset, count in zip(offsets, counts):
        part = data[offset : offset + count]
        if compression in DEFLATE and (found := _inflates(part, most)):
            return found
        if compression == JPEG:
            tables = tags.get(JPEG_TABLES, b"")
            if found := jpeg.damage(tables[:-2] + part[2:] if tables else part):
                return found
    return ""


def _most_bytes(tags: Mapping[int, Any]) -> int:
    """Bytes that no strip or tile exceeds."""
    whole, tile = (_one(tags, width, 0) * _one(tags, height, 0) for width, height in ((WIDTH, HEIGHT), (TILE_WIDTH, TILE_HEIGHT)))
    return (max(whole, tile) + _one(tags, HEIGHT, 0)) * _one(tags, SAMPLES) * max(_one(tags, BITS), 8) // 8


def _inflates(part: bytes, most: int) -> str:
    """What zlib says of a stream with its checksum, which is read in pieces and not beyond ``most`` bytes: it may be a bomb."""
    stream, rest, made = zlib.decompressobj(), part, 0
    try:
        while not stream.eof and rest and made <= most:
            made += len(stream.decompress(rest, PIECE))
            rest = stream.unconsumed_tail
    except zlib.error as error:
        return str(error)
    if made > most:
        return "a deflated part holds more than the picture"
    return "" if stream.eof else "a deflated part is cut short"


def light_size(tags: Mapping[int, Any]) -> tuple[int, int, Place | None]:
    """Width and height of a floating-point TIFF, and the place that its XMP states.

    Raises
    ------
    BadImage
        It lies on its side, or its XMP makes no sense.
    """
    width, height = _one(tags, WIDTH, 0), _one(tags, HEIGHT, 0)
    if _one(tags, ORIENTATION) != 1:
        raise BadImage("a floating-point TIFF that lies on its side (its orientation is not 1) is not read; save it upright")
    return width, height, gpano.place(_about(tags), width, height)


def decode_light(data: bytes, tags: Mapping[int, Any], settings: Ingest) -> Light:
    """Linear light of a floating-point TIFF, and where it shows something (alpha of half or more)."""
    width, height, place = light_size(tags)
    check_area(width, height, settings)
    if TILE_WIDTH in tags:
        check_area(_one(tags, TILE_WIDTH), _one(tags, TILE_HEIGHT), settings, "tiles of ")
    try:
        found = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        raise BadImage(f"cannot be decoded: {error.err}") from error
    if found is None or found.shape[:2] != (height, width):
        raise BadImage("cannot be decoded: the TIFF is truncated or damaged, or compressed in a way that is not read")
    if wrong := damage(data, tags):
        raise BadImage(f"cannot be decoded: the picture is damaged ({wrong})")
    pixels = np.atleast_3d(found).astype(np.float32)
    if pixels.shape[2] not in (1, 3, 4):
        raise BadImage(describe(tags))
    colours = np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else np.ascontiguousarray(pixels[..., 2::-1])
    observed = np.ones((height, width), np.bool_)
    if pixels.shape[2] == 4 and (kind := _one(tags, EXTRA, 0)) in (ASSOCIATED, UNASSOCIATED):
        observed = pixels[..., 3] >= SEEN
        if kind == ASSOCIATED:
            colours = (colours / np.where(observed, pixels[..., 3], 1)[..., None]).astype(np.float32)
    return Light(colours, observed, place, gpano.pose(_about(tags)))


def _about(tags: Mapping[int, Any]) -> dict[str, str]:
    packet = tags.get(XMP, b"")
    return gpano.properties([packet if isinstance(packet, bytes) else str(packet).encode()])


def _one(tags: Mapping[int, Any], tag: int, default: int = 1) -> int:
    """A tag's value, or the first of several; of samples of differing bits the most."""
    value = tags.get(tag, default)
    values = value if isinstance(value, tuple) else (value,)
    first = max(values) if tag == BITS and values else next(iter(values), default)
    return first if isinstance(first, int) else default
