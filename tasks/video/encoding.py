"""A clip as an MP4 of its own: encoded from its exact frames at their exact times, and said to be a panorama."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.video.spherical import with_spherical

CODEC = "libx264"
QUALITY = "14"
"""Of x264's constant rate factor: nearly nothing is seen to be lost."""
OPTIONS = {"crf": QUALITY, "preset": "medium", "bf": "0", "g": "16", "threads": "2", "x264-params": "mbtree=0"}
"""Without B-frames what is decoded is shown at once, so no edit list is needed. As many threads everywhere give equal bytes.
x264's tree of macroblocks does not: of small pictures it makes others now and then."""


def encode_clip(pictures: Iterable[NDArray[np.uint8]], ticks: Sequence[int], time_base: Fraction) -> bytes:
    """An H.264 MP4 of pictures (H, W, 3) uint8 RGB, of even sizes, each shown from its tick on; the first is at 0.

    The last is shown for as long as the one before it.
    Colours are BT.709 of limited range, as players take them.
    """
    import av  # an optional library
    from av.video.reformatter import Colorspace

    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4", options={"fflags": "+bitexact", "movflags": "-faststart"}) as container:
        stream: Any = container.add_stream(CODEC, options=OPTIONS)
        stream.pix_fmt, stream.time_base = "yuv420p", time_base
        stream.codec_context.time_base = time_base
        lasts = _durations(ticks)

        def write(packets: Iterable[Any]) -> None:
            for packet in packets:
                packet.duration = lasts[packet.pts]
                container.mux(packet)

        for number, (picture, tick) in enumerate(zip(pictures, ticks, strict=True)):
            if number == 0:
                stream.height, stream.width = picture.shape[:2]
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame = frame.reformat(format="yuv420p", dst_colorspace=Colorspace.ITU709)
            frame.pts, frame.time_base = tick - ticks[0], time_base
            write(stream.encode(frame))
        write(stream.encode(None))
    return with_spherical(buffer.getvalue())


def _durations(ticks: Sequence[int]) -> dict[int, int]:
    """For how many ticks each frame is shown, by its own after the first."""
    steps = [after - before for before, after in pairwise(ticks)]
    return {tick - ticks[0]: step for tick, step in zip(ticks, [*steps, *(steps[-1:] or [1])], strict=True)}
