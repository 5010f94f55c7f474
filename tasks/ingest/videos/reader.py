"""Frames of a clip at exact presentation times, as the panoramas that they show."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from storage.items import Item
from tasks.ingest.videos.clip import CLIP, Clip
from tasks.ingest.videos.opened import BadClip, open_video, told

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

HD_ROWS = 576
"""Pictures with more rows, whose matrix of colours is not told, are taken for BT.709, as players do."""
UNSPECIFIED = 2
HDR = {16: "PQ", 18: "HLG"}
"""Transfer characteristics of ITU-T H.273 for light beyond a display's."""


class ClipReader:
    """Decodes frames one by one, in ascending order: one seek a group of pictures that has one of them, and one decode.

    A context manager, so that decoders are freed.
    """

    def __init__(self, url: str, clip: Clip) -> None:
        self._url, self._clip = url, clip
        self._opened = ExitStack()
        self._file: tuple[InputContainer, VideoStream] | None = None
        self._frames: Iterator[VideoFrame] = iter(())
        self._last: int | None = None

    def __enter__(self) -> ClipReader:
        return self

    def __exit__(self, *_: object) -> None:
        self._file = None
        self._opened.close()

    def panorama(self, tick: int) -> NDArray[np.uint8]:
        """The panorama (H, W, 3) uint8 RGB that is shown from a tick on; see :func:`upright`."""
        return upright(self.frame(tick), self._clip)

    def frame(self, tick: int) -> VideoFrame:
        """The decoded frame whose presentation time is that tick.

        Raises
        ------
        BadClip
            The decoder gives none of that time, or a damaged one.
        """
        found = self._decoded_until(tick)
        if found is None:  # the seek led past it, or its key was none: once more from the beginning
            self.__exit__()
            self._begin(None)
            found = self._decoded_until(tick, seek=False)
        if found is None:
            raise BadClip(f"the decoder gives no frame for the time {self._clip.nanoseconds(tick) / 1e9:.3f} s")
        if found.is_corrupt:
            raise BadClip(f"the frame at {self._clip.nanoseconds(tick) / 1e9:.3f} s is damaged")
        return found

    def _decoded_until(self, tick: int, seek: bool = True) -> VideoFrame | None:
        from av.error import FFmpegError

        key = self._clip.governing_key(tick)
        if seek and (self._last is None or self._last >= tick or key > self._last):
            self._begin(key)
        try:
            for frame in self._frames:
                if frame.pts is not None:
                    self._last = frame.pts
                    if frame.pts >= tick:
                        return frame if frame.pts == tick else None
        except FFmpegError as error:
            self._last = None
            raise BadClip(f"cannot be decoded at {self._clip.nanoseconds(tick) / 1e9:.3f} s ({told(error)})") from error
        return None

    def _begin(self, key: int | None) -> None:
        """Decode from a key on; from the beginning of the file, which is just opened, if none is given."""
        from av.error import FFmpegError

        first = self._clip.whole and self._file is None and key == self._clip.ticks[0]
        container, stream = self._file = self._file or self._opened.enter_context(open_video(self._url))
        if key is not None and not first:
            try:
                container.seek(key, stream=stream, backward=True)
            except FFmpegError as error:
                raise BadClip(f"cannot be sought in ({told(error)})") from error
        self._frames, self._last = container.decode(stream), None


def first_panorama(item: Item) -> NDArray[np.uint8]:
    """The first panorama (H, W, 3) uint8 of a clip that ``ingest`` found good; BadClip if it cannot be decoded any more."""
    clip = Clip.from_json(item.figures[CLIP])
    with ClipReader(item.uri, clip) as reader:
        return reader.panorama(clip.ticks[0])


def upright(frame: VideoFrame, clip: Clip) -> NDArray[np.uint8]:
    """A decoded frame as one panorama: turned as its file says, and of a stereo pair the left eye's half.

    Returns
    -------
    (H, W, 3) uint8
        RGB of full range. The conversion takes no short cuts that differ between processors.
    """
    from av.video.reformatter import Colorspace, Interpolation

    if (transfer := int(frame.color_trc)) in HDR:
        raise BadClip(f"its light is high-dynamic-range ({HDR[transfer]}), which is not tone-mapped; export it as SDR")
    how = Interpolation.BILINEAR | Interpolation.ACCURATE_RND | Interpolation.BITEXACT | Interpolation.FULL_CHR_H_INT
    unsaid = int(frame.colorspace) == UNSPECIFIED
    assumed = Colorspace.ITU709 if frame.height > HD_ROWS else Colorspace.ITU601
    rgb = frame.reformat(format="rgb24", src_colorspace=assumed if unsaid else None, interpolation=how, threads=1)
    pixels = np.rot90(rgb.to_ndarray(), clip.rotation // 90)
    if clip.stereo == "top_bottom":
        pixels = pixels[: len(pixels) // 2]
    if clip.stereo == "left_right":
        pixels = pixels[:, : pixels.shape[1] // 2]
    return np.ascontiguousarray(pixels, np.uint8)
