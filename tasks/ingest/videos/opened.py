"""Video files at any URL, opened by PyAV, which a package extra brings."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING

from storage.retries import persist
from storage.urls import filesystem

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.stream import VideoStream

HAS_VIDEO = find_spec("av") is not None
WANTED = "videos are read once their library is there: pip install 'panolabel[video]'"
FORMATS = "mov,matroska"
"""Demuxers that may open a file. Playlists and the like, which name other files and URLs, are none of them."""
SUFFIXES = (".mp4", ".m4v", ".mov", ".mkv", ".webm")
"""Ends of the names of files that are read as clips."""
_OTHER_KINDS = {
    "what each lens saw, not yet stitched; export equirectangular video with the camera's own program": (".insv", ".360", ".lrv"),
    "without the time of every frame; re-mux or convert it, as with ffmpeg -i IN OUT.mp4": (
        (".avi", ".mpg", ".mpeg", ".wmv", ".flv", ".ts", ".mts", ".m2ts")
    ),
}
NOT_READ: dict[str, str] = {suffix: why for why, suffixes in _OTHER_KINDS.items() for suffix in suffixes}
"""Ends of the names of videos that are not read -> what they are, and what to do."""


class BadClip(ValueError):
    """The file cannot be used as a clip; the message says why, and what to do."""


@contextmanager
def open_video(url: str) -> Iterator[tuple[InputContainer, VideoStream]]:
    """The container at a URL and its one video stream, closed at the end: what is left open keeps decoders and their memory.

    Raises
    ------
    BadClip
        The file is no video of a container that is read, or has no video stream, or several.
    FileNotFoundError, PermissionError, StoreError
    """
    import av  # an optional library
    from av.error import FFmpegError

    files, path = filesystem(url)
    with persist(url, files.open, path, "rb") as file:
        try:
            container = av.open(file, options={"format_whitelist": FORMATS})
        except (FFmpegError, OSError) as error:
            # Of a file that is too short FFmpeg seeks before its beginning; other errors are the store's.
            if not isinstance(error, FFmpegError) and error.errno != errno.EINVAL:
                raise
            raise BadClip(f"cannot be opened as a video ({told(error)}): truncated, encrypted, or of another kind") from error
        with container:
            yield container, _only_video(container)


def told(error: Exception) -> str:
    """What FFmpeg says of a fault, without the name of the file."""
    return str(getattr(error, "strerror", "") or error)[:200]


def _only_video(container: InputContainer) -> VideoStream:
    from av.stream import Disposition

    found = [one for one in container.streams.video if not one.disposition & Disposition.attached_pic]
    if not found:
        raise BadClip("there is no video in it, only sound or data; give a video")
    if len(found) > 1:
        sizes = ", ".join(f"{one.codec_context.width}x{one.codec_context.height}" for one in found)
        raise BadClip(f"it has {len(found)} video tracks ({sizes}); export one equirectangular track")
    return found[0]
