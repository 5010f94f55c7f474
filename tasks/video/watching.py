"""One decode of a whole video, small: where pictures jump, stand still or are black, and whether they are panoramas.

FFmpeg's own filters judge; what is kept is a few bytes a frame, however large the pictures are.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tasks.ingest.images.joins import join_figures
from tasks.ingest.videos.check import is_said_spherical
from tasks.ingest.videos.clip import NANOSECONDS, Clip
from tasks.ingest.videos.opened import BadClip, open_video, told
from tasks.ingest.videos.packets import PacketDigests
from tasks.ingest.videos.reader import upright

if TYPE_CHECKING:
    from av.filter import Graph
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

WIDTH = 256
"""Pixels across at which pictures are compared."""
BINS = 32
"""Grey levels that a histogram tells apart."""
FEWEST_SECONDS = 0.1
"""The shortest time for which pictures may be black or stand still to be noted."""
SCORE, CHANGE = "lavfi.scd.score", "lavfi.scd.mafd"
STILL, BLACK = "lavfi.freezedetect.freeze", "lavfi.black"


@dataclass(frozen=True)
class Jump:
    """Two neighbouring frames that differ much: the number of the second, FFmpeg's score of it, and both histograms."""

    number: int
    score: float
    before: NDArray[np.float64] = field(repr=False)
    after: NDArray[np.float64] = field(repr=False)

    @property
    def distance(self) -> float:
        """How much of the picture has another brightness, 0 to 1."""
        return distance(self.before, self.after)


def distance(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Between two histograms that sum to 1: the share of the one that is not in the other."""
    return float(1 - np.minimum(one, other).sum())


@dataclass
class Seen:
    """What was seen of a video.

    ``change`` is the mean difference to the frame before, in percent of white, for every frame; NaN for those that the decoder
    did not give. ``still`` and ``black`` are spans of frames, first and last number. ``looks`` are figures of how well single
    frames join, by their numbers. ``digests`` are those of the packets.
    """

    change: array[float]
    digests: PacketDigests
    jumps: list[Jump] = field(default_factory=list)
    still: list[tuple[int, int]] = field(default_factory=list)
    black: list[tuple[int, int]] = field(default_factory=list)
    looks: dict[int, Mapping[str, float]] = field(default_factory=dict)


def watch(url: str, clip: Clip, least_score: float, still_noise: float, look_seconds: float) -> Seen:
    """Decode a video once.

    Parameters
    ----------
    url : str
    clip : Clip
        All of it.
    least_score : float
        FFmpeg's score of scene changes from which neighbours are noted as a jump.
    still_noise : float
        Mean difference, in shares of white, up to which a picture stands still.
    look_seconds : float
        From the beginning of a shot to the frame whose joins are measured; the next ones come after four times as long each.

    Raises
    ------
    BadClip
        It cannot be decoded at all.
    FileNotFoundError, PermissionError, StoreError
    """
    numbers = _Numbers(clip)
    looking = _Looking(round(look_seconds * NANOSECONDS), clip.times[0])
    before: VideoFrame | None = None
    last = -1
    with open_video(url) as (container, stream), _breaking_off():
        digests = PacketDigests(stream.codec_context, clip.time_base)
        seen = Seen(array("f", [float("nan")]) * len(clip.ticks), digests)
        spans = (_Span(STILL, clip, seen.still), _Span(BLACK, clip, seen.black))
        for frame, small in _frames(container, stream, digests, still_noise):
            number = numbers.of(small.pts)
            if number is None or number <= last:
                continue
            said = small.metadata
            seen.change[number] = float(said.get(CHANGE, 0.0)) if before is not None else 0.0
            if before is not None and (score := float(said.get(SCORE, 0.0))) >= least_score:
                seen.jumps.append(Jump(number, score, _histogram(before), _histogram(small)))
                looking.begin(clip.times[number])
            for span in spans:
                span.see(said, number)
            if looking.is_due(clip.times[number]):
                seen.looks[number] = _look(frame, clip)
            before, last = small, number
    if last < 0:
        raise BadClip("no frame of it can be decoded; export it again")
    for span in spans:
        span.end(last + 1)
    return seen


@contextmanager
def _breaking_off() -> Iterator[None]:
    """What FFmpeg cannot read is a clip that cannot be used."""
    from av.error import FFmpegError

    try:
        yield
    except FFmpegError as error:
        raise BadClip(f"cannot be read to its end ({told(error)}); copy the file anew") from error


def _frames(
    container: Any, stream: VideoStream, digests: PacketDigests, still_noise: float
) -> Iterator[tuple[VideoFrame, VideoFrame]]:
    """Every frame that can be decoded, as it is and small, with what the filters tell of it. Damaged ones are passed over."""
    from av.error import BlockingIOError as NotYet
    from av.error import InvalidDataError

    graph: Graph | None = None
    size: tuple[int, int, str] | None = None
    for packet in container.demux(stream):
        digests.add(packet)
        try:
            frames = packet.decode()
        except InvalidDataError:
            continue
        for frame in frames:
            if frame.is_corrupt or frame.pts is None:
                continue
            own = (frame.width, frame.height, frame.format.name)
            if graph is None or size != own:
                graph, size = _graph(frame, stream, still_noise), own
            graph.vpush(frame)
            try:
                yield frame, graph.vpull()
            except NotYet:
                continue


def _graph(frame: VideoFrame, stream: VideoStream, still_noise: float) -> Graph:
    """A chain of filters that gives one small grey picture for each that it is given."""
    from av.filter import Graph

    graph = Graph()
    graph.threads = 1  # pictures are small by then
    width = min(WIDTH, frame.width)
    height = max(2, round(frame.height * width / frame.width))
    source = graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=stream.time_base)
    chain = [
        source,
        graph.add("scale", f"{width}:{height}:flags=area+accurate_rnd+bitexact"),
        graph.add("format", "gray"),
        graph.add("scdet", "threshold=100"),
        graph.add("freezedetect", f"noise={still_noise}:duration={FEWEST_SECONDS}"),
        graph.add("blackdetect", f"d={FEWEST_SECONDS}:pic_th=0.98:pix_th=0.1"),
        graph.add("buffersink"),
    ]
    graph.link_nodes(*chain).configure()
    return graph


class _Numbers:
    """The numbers of frames by their presentation times, which come in order."""

    def __init__(self, clip: Clip) -> None:
        self._ticks, self._next = clip.ticks, 0

    def of(self, tick: int | None) -> int | None:
        """The number of the frame that is shown at a tick; None if the clip has none."""
        while tick is not None and self._next < len(self._ticks) and self._ticks[self._next] < tick:
            self._next += 1
        found = tick is not None and self._next < len(self._ticks) and self._ticks[self._next] == tick
        return self._next if found else None


class _Looking:
    """When the next frame is to be looked at: soon after a shot begins, and ever later."""

    def __init__(self, after: int, start: int) -> None:
        self._after, self._start = after, start
        self._next = start + after

    def begin(self, time: int) -> None:
        """A shot may begin."""
        self._start, self._next = time, time + self._after

    def is_due(self, time: int) -> bool:
        """Whether it is now; then the next one is four times as far from where the shot began."""
        due = time >= self._next
        if due:
            self._next = self._start + 4 * (time - self._start)
        return due


class _Span:
    """Spans of frames that a filter tells of: when one started, at whichever frame it knows; that one is over, at the next."""

    def __init__(self, name: str, clip: Clip, spans: list[tuple[int, int]]) -> None:
        self._start_key, self._end_key = f"{name}_start", f"{name}_end"
        self._clip, self._spans = clip, spans
        self._start: int | None = None

    def see(self, said: Mapping[str, str], number: int) -> None:
        """What is said at a frame."""
        if self._start_key in said:
            self._start = self._clip.nearest(float(said[self._start_key]))
        if self._end_key in said:
            self.end(number)

    def end(self, number: int) -> None:
        """A span, if there is one, ends before a frame. One of a single frame is none: the pictures of slow videos are long."""
        if self._start is not None and self._start + 1 < number:
            self._spans.append((self._start, number - 1))
        self._start = None


def _histogram(small: VideoFrame) -> NDArray[np.float64]:
    """Shares of the sphere by brightness: rows weigh as much as they have of it."""
    plane = small.planes[0]
    pixels = np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size)[:, : plane.width]
    rows = np.sin((np.arange(len(pixels)) + 0.5) / len(pixels) * np.pi)
    weights = np.repeat(rows, pixels.shape[1])
    counts = np.bincount((pixels // (256 // BINS)).ravel(), weights, BINS)
    return counts / counts.sum()


def _look(frame: VideoFrame, clip: Clip) -> Mapping[str, float]:
    """How well the panorama of a frame joins itself."""
    pixels = upright(frame, clip)
    figures = join_figures(pixels, np.ones(pixels.shape[:2], np.bool_))
    if is_said_spherical(frame):
        figures.pop("halves", None)
    return figures
