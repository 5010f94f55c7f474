"""Videos whose every frame tells its own number, so that a reader's frames can be told apart without another decoder."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

BITS = 8


def numbered(number: int, height: int = 32) -> NDArray[np.uint8]:
    """A panorama (height, 2 height, 3) whose rows of latitude bands write a number in BITS bits, black or white."""
    bits = [255 if number >> bit & 1 else 0 for bit in range(BITS)]
    rows = np.repeat(np.array(bits, np.uint8), height // BITS)
    return np.ascontiguousarray(np.broadcast_to(rows[:, None, None], (height, 2 * height, 3)))


def number_of(pixels: NDArray[np.uint8]) -> int:
    """The number that a decoded panorama tells."""
    height = len(pixels) // BITS
    return sum(1 << bit for bit in range(BITS) if pixels[bit * height : (bit + 1) * height].mean() > 127)


def write_numbered(
    path: Path,
    ticks: Sequence[int],
    time_base: Fraction = Fraction(1, 1000),
    codec: str = "libx264",
    options: dict[str, str] | None = None,
    container: dict[str, str] | None = None,
    height: int = 32,
) -> None:
    """Frame n of the video, shown from the n-th tick on, is :func:`numbered` n."""
    with av.open(str(path), "w", options=container or {}) as file:
        stream: Any = file.add_stream(codec, options=options or {})
        stream.width, stream.height, stream.pix_fmt = 2 * height, height, "yuv420p"
        stream.time_base = stream.codec_context.time_base = time_base
        for number, tick in enumerate(ticks):
            frame = av.VideoFrame.from_ndarray(numbered(number, height), format="rgb24").reformat(format="yuv420p")
            frame.pts, frame.time_base = tick, time_base
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
