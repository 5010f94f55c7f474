"""Whether a file is a clip of whole panoramas: demuxed whole, its first frame looked at, its last one decoded."""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tasks.ingest.images.joins import join_figures, refusal
from tasks.ingest.settings import Ingest
from tasks.ingest.videos.clip import Clip
from tasks.ingest.videos.demux import demux
from tasks.ingest.videos.opened import BadClip
from tasks.ingest.videos.reader import ClipReader, upright

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

STEREO = {1: "left_right", 2: "top_bottom"}
"""By FFmpeg's number of a stereo layout; 0 is none."""
PROJECTIONS = {
    1: "a cubemap",
    2: "a part of an equirectangular picture",
    3: "half a sphere (VR180)",
    4: "a plane picture",
    5: "a fisheye picture",
}
"""By FFmpeg's number of a projection, those that are not equirectangular; 0 is."""


@dataclass(frozen=True)
class CheckedClip:
    """A clip that may be used: its facts, the digest of its packets, the size of its panoramas, and figures of the first one."""

    clip: Clip
    digest: str
    height: int
    width: int
    figures: dict[str, float]


def check_clip(url: str, settings: Ingest) -> CheckedClip:
    """Read a clip, and refuse what is no clip of whole panoramas.

    Raises
    ------
    BadClip
        With the reason.
    FileNotFoundError, PermissionError, StoreError
    """
    found = demux(url)
    _refuse_large(found.size, settings)
    clip = Clip(tuple(found.ticks), tuple(found.keys), found.time_base, found.codec)
    with ClipReader(url, clip) as reader:
        first = reader.frame(clip.ticks[0])
        clip = replace(clip, rotation=_rotation(first), stereo=_stereo(first))
        _refuse_projection(first)
        pixels = upright(first, clip)
        _refuse_shape(pixels, clip, settings)
        reader.frame(clip.ticks[-1])
    figures = join_figures(pixels, np.ones(pixels.shape[:2], np.bool_))
    if is_said_spherical(first):  # it says itself whether it is a stereo pair; rooms may well have two halves alike
        figures.pop("halves", None)
    if reason := refusal(figures, settings):
        raise BadClip(reason)
    height, width = pixels.shape[:2]
    return CheckedClip(clip, found.digest, height, width, figures)


def _refuse_large(size: tuple[int, int], settings: Ingest) -> None:
    """Before anything is decoded."""
    if size[0] * size[1] > settings.max_megapixels * 1e6:
        megapixels = size[0] * size[1] / 1e6
        raise BadClip(f"has {megapixels:.0f} megapixels a frame, more than max_megapixels = {settings.max_megapixels:g}")


def _rotation(frame: VideoFrame) -> int:
    turn = round(frame.rotation) % 360
    if turn % 90:
        raise BadClip(f"is to be turned by {turn} degrees, which makes no upright panorama; export it without rotation")
    return turn


def _side_data(frame: VideoFrame, name: str, length: int) -> tuple[int, ...]:
    """The first 32-bit numbers of what the container says of every frame under a name; none where it says nothing."""
    said: Any = frame.side_data  # typed as if it held motion vectors alone
    try:
        data = bytes(said[name])
    except KeyError:
        return ()
    return struct.unpack(f"={length}i", data[: 4 * length]) if len(data) >= 4 * length else ()


def is_said_spherical(frame: VideoFrame) -> bool:
    """Whether the file of a frame says that it lies on a sphere, and how."""
    return bool(_side_data(frame, "SPHERICAL", 1))


def _stereo(frame: VideoFrame) -> str:
    said = _side_data(frame, "STEREO3D", 1)
    if not said or said[0] == 0:
        return "none"
    if said[0] not in STEREO:
        raise BadClip(f"its stereo layout is of a kind that is not read (number {said[0]}); export one eye alone")
    return STEREO[said[0]]


def _refuse_projection(frame: VideoFrame) -> None:
    said = _side_data(frame, "SPHERICAL", 1)
    if said and said[0]:
        what = PROJECTIONS.get(said[0], f"of the projection number {said[0]}")
        raise BadClip(f"its file says that it is {what}, not a whole equirectangular panorama; convert it first")


def _refuse_shape(pixels: NDArray[np.uint8], clip: Clip, settings: Ingest) -> None:
    height, width = pixels.shape[:2]
    if abs(width / height / 2 - 1) > settings.aspect_tolerance:
        eye = "" if clip.stereo == "none" else " of one eye"
        raise BadClip(
            f"its picture{eye} is {width}x{height}, {width / height:.2f} times as wide as high, not 2: a stereo pair or cube "
            "faces whose file does not say so, or not the whole sphere? Convert it, or inject its spherical metadata"
        )
    if width < settings.min_width:
        raise BadClip(f"is {width} pixels wide, less than min_width = {settings.min_width}")
