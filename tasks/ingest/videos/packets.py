"""Digests of parts of a clip: of the packets from which their frames are decoded, so that one part is verified by itself."""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Iterator
from fractions import Fraction
from typing import TYPE_CHECKING

from tasks.ingest.videos.clip import Clip
from tasks.ingest.videos.opened import BadClip, open_video, told

if TYPE_CHECKING:
    from av.codec.context import CodecContext
    from av.packet import Packet

SIZE = hashlib.sha256().digest_size


class PacketDigests:
    """The digests of all packets of a video, in the order of decoding: some 50 bytes a frame.

    The digest of a part is that of the codec's parameters and of the packets from the key that governs its first frame to where
    all its frames have come, each with its time: a re-mux keeps it, and so does a change elsewhere in the video.
    """

    def __init__(self, codec: CodecContext, time_base: Fraction) -> None:
        self._head, self._time_base = head_of(codec), time_base
        self._whole = hashlib.sha256(self._head)
        self._ticks = array("q")
        self._sums = bytearray()
        self._near = 0

    def add(self, packet: Packet) -> None:
        """Note the next packet of the video."""
        if packet.size and packet.pts is not None:
            time = _time(packet, self._time_base)
            self._whole.update(time)
            self._whole.update(packet)
            self._ticks.append(packet.pts)
            self._sums += _digest(time, packet)

    @property
    def whole(self) -> str:
        """The digest of all of it, as :func:`tasks.ingest.videos.demux.demux` has it."""
        return self._whole.hexdigest()

    def of(self, part: Clip) -> str:
        """The digest of a part of the video whose packets were all added; parts are asked for in the order of time."""
        start = self._near = self._ticks.index(part.keys[0], self._near)
        wanted = set(part.ticks)
        sha256 = hashlib.sha256(self._head)
        for number in range(start, len(self._ticks)):
            sha256.update(self._sums[SIZE * number : SIZE * (number + 1)])
            wanted.discard(self._ticks[number])
            if not wanted:
                break
        return sha256.hexdigest()


def head_of(codec: CodecContext) -> bytes:
    """What the decoder is told before all packets."""
    return f"{codec.name} ".encode() + bytes(codec.extradata or b"")


def _time(packet: Packet, time_base: Fraction) -> bytes:
    """The presentation time of a packet in nanoseconds."""
    return round((packet.pts or 0) * time_base * 10**9).to_bytes(8, "big", signed=True)


def _digest(time: bytes, packet: Packet) -> bytes:
    sha256 = hashlib.sha256(time)
    sha256.update(packet)
    return sha256.digest()


def part_digest(url: str, part: Clip) -> str:
    """The digest of a part as :class:`PacketDigests` has it, by reading no more of the file than that part.

    Raises
    ------
    BadClip
        The file is no video any more, or ends before that part does.
    FileNotFoundError, PermissionError, StoreError
    """
    found = _part_digest(url, part, seek=True)
    found = found or _part_digest(url, part, seek=False)  # the seek led past it
    if not found:
        raise BadClip(f"has no frames any more from {part.nanoseconds(part.ticks[0]) / 1e9:.3f} s on")
    return found


def _part_digest(url: str, part: Clip, seek: bool) -> str:
    from av.error import FFmpegError

    with open_video(url) as (container, stream):
        sha256, wanted = hashlib.sha256(head_of(stream.codec_context)), set(part.ticks)
        try:
            if seek:
                container.seek(part.keys[0], stream=stream, backward=True)
            for packet in _from(part.keys[0], container.demux(stream)):
                sha256.update(_digest(_time(packet, part.time_base), packet))
                wanted.discard(packet.pts or 0)
                if not wanted:
                    return sha256.hexdigest()
        except FFmpegError as error:
            raise BadClip(f"cannot be read at {part.nanoseconds(part.ticks[0]) / 1e9:.3f} s ({told(error)})") from error
    return ""


def _from(key: int, packets: Iterator[Packet]) -> Iterator[Packet]:
    begun = False
    for packet in packets:
        begun = begun or (packet.size > 0 and packet.pts == key)
        if begun and packet.size and packet.pts is not None:
            yield packet
