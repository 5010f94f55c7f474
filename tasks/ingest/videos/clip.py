"""What is known of a clip: when each of its frames is shown, which are keys, and how its picture lies on the sphere."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from itertools import accumulate, groupby, pairwise
from typing import Any

CLIP = "clip"
"""Figure of an item under which ``ingest`` keeps its :class:`Clip`."""
NANOSECONDS = 1_000_000_000


@dataclass(frozen=True)
class Clip:
    """A clip as a full demux finds it, or a part of it.

    Parameters
    ----------
    ticks : tuple of int
        Presentation time of every frame that is shown, ascending, in units of ``time_base``; at least one.
    keys : tuple of int
        Those of them from which decoding can begin.
    time_base : Fraction
        Seconds of a tick.
    codec : str
    rotation : int
        Degrees, a multiple of 90, by which a picture is to be turned anticlockwise before it is shown.
    stereo : str
        ``none``, ``top_bottom`` or ``left_right``; the first half is the left eye's.
    whole : bool
        Whether the file begins and ends with it; the first key of a part may come before its first frame.
    """

    ticks: tuple[int, ...]
    keys: tuple[int, ...]
    time_base: Fraction
    codec: str
    rotation: int = 0
    stereo: str = "none"
    whole: bool = True

    @cached_property
    def times(self) -> tuple[int, ...]:
        """Presentation time of every frame in nanoseconds, ascending."""
        return tuple(self.nanoseconds(tick) for tick in self.ticks)

    @property
    def seconds(self) -> float:
        """From the first frame to the last."""
        return (self.times[-1] - self.times[0]) / NANOSECONDS

    def nanoseconds(self, tick: int) -> int:
        """A time in ticks, in nanoseconds."""
        return round(tick * self.time_base * NANOSECONDS)

    def tick(self, time_ns: int) -> int:
        """The tick of a frame's presentation time; ValueError if no frame has it."""
        return self.ticks[self.times.index(time_ns)]

    def shown_at(self, seconds: Fraction) -> int | None:
        """Number of the frame that is shown so many seconds after the first; None once the last is over.

        A tick of slack takes back what a container's own rounding cost: of 30 frames a second in milliseconds, say. The last
        frame is shown for as long as the one before it.
        """
        last = self.ticks[-1] - self.ticks[-2] if len(self.ticks) > 1 else 1
        wanted = self.ticks[0] + seconds / self.time_base
        if wanted < self.ticks[0] or wanted >= self.ticks[-1] + max(last, 1):
            return None
        return bisect_right(self.ticks, wanted + 1) - 1

    def governing_key(self, tick: int) -> int:
        """Tick of the key frame from which a frame is decoded; the first frame's if no key comes before it."""
        place = bisect_right(self.keys, tick)
        return self.keys[place - 1] if place else self.ticks[0]

    def nearest(self, seconds: float) -> int:
        """Number of the frame whose presentation time is nearest to one in seconds."""
        wanted = round(seconds * NANOSECONDS)
        place = bisect_right(self.times, wanted)
        near = [number for number in (place - 1, place) if 0 <= number < len(self.times)]
        return min(near, key=lambda number: abs(self.times[number] - wanted))

    def end_of(self, number: int) -> int:
        """When a frame is shown no more, in nanoseconds; the last for as long as the one before it."""
        if number + 1 < len(self.times):
            return self.times[number + 1]
        return self.times[-1] + (self.times[-1] - self.times[-2] if len(self.times) > 1 else 0)

    def part(self, first: int, count: int) -> Clip:
        """So many frames from a number on, as a clip of its own."""
        ticks = self.ticks[first : first + count]
        inner = self.keys[bisect_right(self.keys, ticks[0]) : bisect_right(self.keys, ticks[-1])]
        return replace(self, ticks=ticks, keys=(self.governing_key(ticks[0]), *inner), whole=False)

    def as_json(self) -> dict[str, Any]:
        """JSON values; times as run lengths of their steps, which of a constant rate are one pair."""
        return {
            "ticks": _runs(self.ticks),
            "keys": _runs(self.keys),
            "time_base": [self.time_base.numerator, self.time_base.denominator],
            "codec": self.codec,
            "rotation": self.rotation,
            "stereo": self.stereo,
            **({} if self.whole else {"whole": False}),
        }

    @staticmethod
    def from_json(values: Mapping[str, Any]) -> Clip:
        """The clip of :meth:`as_json`."""
        rest = {name: values[name] for name in ("codec", "rotation", "stereo", "whole") if name in values}
        return Clip(_unrolled(values["ticks"]), _unrolled(values["keys"]), Fraction(*values["time_base"]), **rest)


def _runs(numbers: Sequence[int]) -> list[Any]:
    """First number, then how often each step follows: ``[0, [512, 3]]`` for 0, 512, 1024, 1536."""
    steps = groupby(after - before for before, after in pairwise(numbers))
    return [*numbers[:1], *([step, len(list(same))] for step, same in steps)]


def _unrolled(runs: Sequence[Any]) -> tuple[int, ...]:
    return tuple(accumulate([*runs[:1], *(step for step, count in runs[1:] for _ in range(count))]))
