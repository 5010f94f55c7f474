"""Boxes that tell players and readers that an MP4 is one equirectangular panorama: ``st3d`` and ``sv3d`` of Spherical Video V2.

FFmpeg's muxer writes none of what an encoder is not told. Boxes are put into the description of the track; what lies before
``moov`` does not move, so all offsets stay right.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

ENTRY_BYTES = 8 + 78
"""Of a visual sample entry, before the boxes in it."""
TO_ENTRY = (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd")
STSD_BYTES = 8
"""Version, flags and count, before the entries."""
PROGRAM = b"panolabel\0"


def with_spherical(data: bytes) -> bytes:
    """An MP4 of one video track whose ``moov`` comes last, with the boxes.

    Raises
    ------
    ValueError
        It is laid out otherwise.
    """
    path = _way(data)
    place = path[-1][1]
    boxes = _full(b"st3d", b"\0") + _box(b"sv3d", _full(b"svhd", PROGRAM) + _projection())
    out = bytearray(data[:place] + boxes + data[place:])
    for start, _ in path:
        (size,) = struct.unpack_from(">I", out, start)
        struct.pack_into(">I", out, start, size + len(boxes))
    return bytes(out)


def _way(data: bytes) -> list[tuple[int, int]]:
    """Beginning and end of each box on the way to the description of the only track, and of that."""
    found: list[tuple[int, int]] = []
    start, end = 0, len(data)
    for name in TO_ENTRY:
        boxes = {kind: span for kind, *span in _boxes(data, start, end)}
        if name not in boxes or (name == b"moov" and boxes[name][1] != end):
            raise ValueError(f"no box {name.decode()} where one must be, at the end")
        start, end = boxes[name]
        found.append((start, end))
        start += 8 + STSD_BYTES * (name == b"stsd")
    entries = list(_boxes(data, start, end))
    if len(entries) != 1:
        raise ValueError(f"{len(entries)} boxes that describe pictures, not one")
    return [*found, (entries[0][1], entries[0][2])]


def _boxes(data: bytes, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    while start + 8 <= end:
        size, kind = struct.unpack_from(">I4s", data, start)
        if size == 1 and start + 16 <= end:
            (size,) = struct.unpack_from(">Q", data, start + 8)
        if size < 8 or start + size > end:
            raise ValueError(f"a box of {size} bytes, where {end - start} are left")
        yield kind, start, start + size
        start += size


def _projection() -> bytes:
    upright = _full(b"prhd", struct.pack(">iii", 0, 0, 0))
    whole = _full(b"equi", struct.pack(">IIII", 0, 0, 0, 0))
    return _box(b"proj", upright + whole)


def _full(kind: bytes, payload: bytes) -> bytes:
    return _box(kind, bytes(4) + payload)


def _box(kind: bytes, payload: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(payload), kind) + payload
