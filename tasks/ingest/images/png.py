"""Chunks of a PNG: their checksums, which Pillow does not look at in pixels, and metadata that stand after the pixels."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import BinaryIO

SIGNATURE = b"\x89PNG\r\n\x1a\n"
XMP = b"XML:com.adobe.xmp\0"
MOST_METADATA = 1 << 20
"""Bytes of a chunk; Pillow takes no more of compressed text either."""


def chunks(file: BinaryIO) -> Iterator[tuple[bytes, int, int]]:
    """Kind, offset of the body and length of each chunk up to the last, of a file that stands anywhere."""
    at = len(SIGNATURE)
    while True:
        file.seek(at)
        head = file.read(8)
        if len(head) < 8:
            return
        length, kind = int.from_bytes(head[:4], "big"), head[4:]
        yield kind, at + 8, length
        if kind == b"IEND":
            return
        at += 12 + length


def damage(file: BinaryIO) -> str:
    """What is wrong with the pixels' chunks; empty if nothing is."""
    kind = b""
    for kind, at, length in chunks(file):
        if kind == b"IDAT":
            file.seek(at - 4)
            body, checksum = file.read(length + 4), file.read(4)
            if zlib.crc32(body).to_bytes(4, "big") != checksum:
                return "a checksum of the PNG's pixels is wrong"
    return "" if kind == b"IEND" else "the PNG is truncated"


def metadata(file: BinaryIO) -> dict[str, bytes]:
    """EXIF (``exif``) and XMP (``xmp``) wherever they stand, named as Pillow does once it has decoded the pixels."""
    found = {}
    for kind, at, length in chunks(file):
        if kind not in (b"eXIf", b"iTXt") or length > MOST_METADATA:
            continue
        file.seek(at)
        body = file.read(length)
        if kind == b"eXIf":
            found["exif"] = b"Exif\0\0" + body
        elif body.startswith(XMP):
            flags, rest = body[len(XMP) : len(XMP) + 2], body[len(XMP) + 2 :].split(b"\0", 2)
            found["xmp"] = zlib.decompress(rest[2]) if flags[:1] == b"\1" else rest[2]
    return found
