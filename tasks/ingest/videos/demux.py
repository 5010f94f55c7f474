"""A full demux of a clip: the time of every frame, and a digest of what is shown; no picture is decoded.

Neither a frame count in the header nor an index is trusted: fragments lack the one, edit lists and B-frames bend the other.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING

from tasks.ingest.videos.opened import BadClip, open_video, told
from tasks.ingest.videos.packets import head_of

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.stream import VideoStream

MOST_FRAMES = 2_000_000
"""Eighteen hours at 30 a second: a guard against headers that never end."""
LEAST_SHARE = 0.95
"""Of the announced length, that the frames must reach."""


@dataclass
class Demuxed:
    """``ticks`` and ``keys`` ascending, in units of ``time_base``; ``digest`` is the sha256 of packets with their times.

    ``size`` is what the header says of a picture: height, width.
    """

    time_base: Fraction
    codec: str
    size: tuple[int, int]
    digest: str = ""
    ticks: list[int] = field(default_factory=list)
    keys: list[int] = field(default_factory=list)


def demux(url: str) -> Demuxed:
    """Read all packets of a clip's video.

    The digest is that of the codec's parameters and of every packet with its time in nanoseconds: a re-mux that keeps both keeps
    the digest, and with it what was made of the clip.

    Raises
    ------
    BadClip
        The file is no video, is damaged, truncated, or tells no times.
    FileNotFoundError, PermissionError, StoreError
    """
    from av.error import FFmpegError

    with open_video(url) as (container, stream):
        if stream.time_base is None:
            raise BadClip("its container gives no unit of time; re-mux it, as with ffmpeg -i IN -c copy OUT.mp4")
        codec = stream.codec_context
        sha256 = hashlib.sha256(head_of(codec))
        found = Demuxed(stream.time_base, codec.name, (codec.height, codec.width))
        count = 0
        try:
            for packet in container.demux(stream):
                if packet.size:
                    count += 1
                    _add(found, packet, sha256)
        except FFmpegError as error:
            raise BadClip(f"breaks off after {count} frames ({told(error)}); copy the file anew") from error
        if not found.ticks:
            raise BadClip("no frame of it is ever shown: truncated, or exported wrong; copy it anew, or export it again")
        found.ticks, found.keys = sorted(set(found.ticks)), sorted(set(found.keys))
        _refuse_truncated(container, stream, found, count)
        found.digest = sha256.hexdigest()
    return found


def _add(found: Demuxed, packet: Packet, sha256: hashlib._Hash) -> None:
    if packet.is_corrupt:
        raise BadClip(f"breaks off within its frame {len(found.ticks) + 1}: truncated; copy the file anew")
    if packet.pts is None:
        raise BadClip("does not tell when a frame is shown; re-mux it, as with ffmpeg -fflags +genpts -i IN -c copy OUT.mp4")
    if len(found.ticks) >= MOST_FRAMES:
        raise BadClip(f"has more than {MOST_FRAMES} frames; cut it first")
    sha256.update(round(packet.pts * found.time_base * 10**9).to_bytes(8, "big", signed=True))
    sha256.update(packet)
    if packet.is_discard:  # by an edit list: decoded for others' sake, and not shown
        return
    found.ticks.append(packet.pts)
    if packet.is_keyframe:
        found.keys.append(packet.pts)


def _refuse_truncated(container: InputContainer, stream: VideoStream, found: Demuxed, count: int) -> None:
    """Raise BadClip where the header announces more than there is."""
    if stream.frames > count:
        raise BadClip(
            f"announces {stream.frames} frames and has {count}: truncated, or its header is wrong; copy it anew, or re-mux it"
        )
    announced = float(stream.duration * found.time_base if stream.duration else (container.duration or 0) / 1_000_000)
    there = float((found.ticks[-1] - found.ticks[0]) * found.time_base)
    if there < LEAST_SHARE * announced - 1:
        raise BadClip(f"announces {announced:.1f} s and its frames end after {there:.1f} s: truncated; copy the file anew")
