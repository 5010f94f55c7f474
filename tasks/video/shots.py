"""Shots of a video, and the clips of a fixed length that are cut from them: pure functions of what was seen.

Every frame is in one clip, or in a part that is left out for a reason.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from tasks.ingest.images.joins import refusal
from tasks.ingest.settings import Ingest
from tasks.ingest.videos.clip import NANOSECONDS, Clip
from tasks.video.settings import Cut
from tasks.video.watching import Jump, Seen, distance

BLACK, STILL, SLIDESHOW, SHORT, NOT_360, DAMAGED, TAIL = (
    "black",
    "static picture",
    "slideshow",
    "shot too short",
    "not 360",
    "damaged frames",
    "rest of a shot",
)
"""Why frames are left out."""
SLIDES = 3
"""Static pictures of a video from which they are a slideshow, if they fill half of it."""


@dataclass(frozen=True)
class Piece:
    """Frames of a video from a number on: a clip if there is no ``reason`` why they are left out.

    ``shot`` is the number of its shot; ``because`` says more of the reason.
    """

    first: int
    count: int
    shot: int
    reason: str = ""
    because: str = ""

    @property
    def end(self) -> int:
        """The number after its last frame."""
        return self.first + self.count

    def seconds(self, clip: Clip) -> float:
        """For how long it is shown."""
        return (clip.end_of(self.end - 1) - clip.times[self.first]) / NANOSECONDS


def pieces_of(clip: Clip, seen: Seen, settings: Cut, limits: Ingest) -> list[Piece]:
    """All frames of a video in pieces, in order: clips, and what is left out.

    Parameters
    ----------
    clip : Clip
        The video.
    seen : Seen
    settings : Cut
    limits : Ingest
        How well panoramas must join.
    """
    starts = shot_starts(clip, seen, settings)
    pieces: list[Piece] = []
    for number, (first, end) in enumerate(zip(starts, [*starts[1:], len(clip.ticks)], strict=True)):
        shot = Piece(first, end - first, number)
        reason, because = _reason(clip, seen, shot, settings, limits)
        pieces += [Piece(first, end - first, number, reason, because)] if reason else _cut(clip, seen, shot, settings)
    return _as_slideshow(clip, pieces)


def shot_starts(clip: Clip, seen: Seen, settings: Cut) -> list[int]:
    """Numbers of the first frames of all shots: where pictures jump, and where black begins and ends."""
    jumps = [one for one in seen.jumps if one.score >= settings.shot_score and one.distance >= settings.shot_distance]
    starts = {0, *(one.number for one in _without_flashes(clip, jumps, settings))}
    for first, last in seen.black:
        starts |= {first, last + 1}
    return sorted(start for start in starts if start < len(clip.ticks))


def _without_flashes(clip: Clip, jumps: Sequence[Jump], settings: Cut) -> list[Jump]:
    """Jumps without those to and from a flash: what comes after it is as what was before."""
    kept: list[Jump] = []
    for jump in jumps:
        if kept and _is_flash(clip, kept[-1], jump, settings):
            kept.pop()
        else:
            kept.append(jump)
    return kept


def _is_flash(clip: Clip, first: Jump, last: Jump, settings: Cut) -> bool:
    """Whether what lies between two jumps is one."""
    lasts = (clip.times[last.number] - clip.times[first.number]) / NANOSECONDS
    return lasts <= settings.flash_seconds and distance(first.before, last.after) < settings.shot_distance


def _reason(clip: Clip, seen: Seen, shot: Piece, settings: Cut, limits: Ingest) -> tuple[str, str]:
    """Why a shot is left out as a whole, and more of it; empty if it is not."""
    if share(seen.black, shot) > 0.5:
        return BLACK, ""
    if share(seen.still, shot) >= settings.most_still:
        return STILL, ""
    if shot.seconds(clip) < settings.least:
        return SHORT, ""
    refused = refusal(joins(seen, shot), limits)
    return (NOT_360, refused) if refused else ("", "")


def share(spans: Sequence[tuple[int, int]], piece: Piece) -> float:
    """Of the frames of a piece the share that lies in spans."""
    inside = sum(max(0, min(last + 1, piece.end) - max(first, piece.first)) for first, last in spans)
    return inside / piece.count


def joins(seen: Seen, piece: Piece) -> dict[str, float]:
    """The medians of what looks at its frames found, as far as most of them could tell."""
    looks = [figures for number, figures in seen.looks.items() if piece.first <= number < piece.end]
    names = {name for figures in looks for name in figures}
    told = {name: [figures[name] for figures in looks if name in figures] for name in sorted(names)}
    return {name: round(median(values), 3) for name, values in told.items() if 2 * len(values) > len(looks)}


def _cut(clip: Clip, seen: Seen, shot: Piece, settings: Cut) -> list[Piece]:
    """Clips of a shot, one after the other, each of the fixed length; the rest is one if it is long enough."""
    pieces: list[Piece] = []
    first, start = shot.first, clip.times[shot.first]
    while first < shot.end:
        until = start + round(settings.seconds * NANOSECONDS) - 1_000_000  # what a container rounds starts no other frame
        end = min(max(bisect_left(clip.times, until), first + 1), shot.end)
        piece = Piece(first, end - first, shot.shot)
        pieces.append(Piece(first, end - first, shot.shot, _reason_of_clip(clip, seen, piece, settings)))
        first, start = end, clip.times[end] if end < shot.end else 0
    return pieces


def _reason_of_clip(clip: Clip, seen: Seen, piece: Piece, settings: Cut) -> str:
    if piece.seconds(clip) < settings.least:
        return TAIL
    if any(math.isnan(seen.change[number]) for number in range(piece.first, piece.end)):
        return DAMAGED
    return STILL if share(seen.still, piece) >= settings.most_still else ""


def _as_slideshow(clip: Clip, pieces: Sequence[Piece]) -> list[Piece]:
    """Pieces, the static ones called slides where these are several shots that fill half of the video."""
    still = [piece for piece in pieces if piece.reason == STILL]
    length = sum(piece.seconds(clip) for piece in pieces)
    many = len({piece.shot for piece in still}) >= SLIDES and 2 * sum(piece.seconds(clip) for piece in still) >= length
    return [
        Piece(piece.first, piece.count, piece.shot, SLIDESHOW) if many and piece.reason == STILL else piece for piece in pieces
    ]
