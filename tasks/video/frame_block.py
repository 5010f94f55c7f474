"""The block of panoramas that a block of clips becomes: a pure function of what the manifest, or ``cut``, knows of the clips.

So plan, run and every reader know each frame by name before, and without, anything being decoded; behind ``cut``, once that ran.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from storage.fingerprint import canonical_json, digest
from storage.items import Block, Item
from tasks.ingest.videos.clip import CLIP, NANOSECONDS, Clip
from tasks.ingest.videos.cut_names import below
from tasks.stage.job import GIVEN_UP_AT
from tasks.stage.kind import Stage
from tasks.stage.late import LateBlock
from tasks.stage.plain import Found
from tasks.video.clip_block import clips_of, placed
from tasks.video.settings import Drawn, Frames, Rate, Times

OF_CLIP, TIME = "clip", "time_ns"
"""Metadata of a frame: the item that is its clip, and its presentation time there in nanoseconds."""


@dataclass(frozen=True)
class FrameBlock(Block):
    """Frames as items, and the clips that they are taken from. A frame's ``uri`` is the URL of the block that will hold it."""

    clips: Sequence[Item] = ()


@dataclass(frozen=True)
class LateFrameBlock(LateBlock, FrameBlock):
    """The same of clips that were cut."""


def frame_block(stage: Stage, block: Block, found: Found) -> FrameBlock:
    """The frames of a block of clips, in the order of the clips and then of time; the number of the block stays."""
    clips = clips_of(stage, block, found)
    items = placed([frame for clip in clips.items for frame in _frames(clip, stage.settings)])
    if clips.items is block.items:
        frames = FrameBlock(block.index, items, block.items)
    else:
        foreseen = () if clips.known else (block, stage)
        frames = LateFrameBlock(block.index, items, clips.items, block.name, *foreseen)
    url = stage.block_url(frames.name)
    return replace(frames, items=tuple(replace(item, uri=url) for item in frames.items))


def _frames(clip: Item, settings: Frames) -> list[Item]:
    """The frames of one clip. One that was given up, is not read yet, or has none has one item in their place."""
    if clip.reason or CLIP not in clip.figures:
        at = {name: value for name, value in clip.figures.items() if name == GIVEN_UP_AT}
        return [replace(clip, digest="", metadata={OF_CLIP: clip.item}, figures=at)]
    known = Clip.from_json(clip.figures[CLIP])
    chosen = choose_frames(known, settings.sampling, clip.digest)
    if not chosen:
        reason = f"no frame is shown at the times that are asked for: the clip ends after {known.seconds:.2f} s"
        return [replace(clip, digest="", metadata={OF_CLIP: clip.item}, figures={}, reason=reason)]
    return [_frame(clip, known.times[0], known.times[number], settings.height) for number in chosen]


def _frame(clip: Item, start: int, time: int, height: int) -> Item:
    """A frame is named by its clip and the milliseconds since the first: however frames are chosen, it has the same name."""
    own = digest(canonical_json([clip.digest, time])) if clip.digest else ""
    return replace(
        clip,
        item=below(clip.item, time - start),
        digest=own,
        height=height,
        width=2 * height,
        size=0,
        stamp="",
        metadata={**clip.metadata, OF_CLIP: clip.item, TIME: time},
        figures={"plain": False},
    )


def choose_frames(clip: Clip, sampling: Rate | Times | Drawn, clip_digest: str) -> list[int]:
    """Numbers of the frames that are wanted, ascending, each once; of several within one millisecond the first.

    Parameters
    ----------
    clip : Clip
    sampling : Rate, Times or Drawn
    clip_digest : str
        Hex digest of the clip, which with its seed makes the draws of ``random``.
    """
    if isinstance(sampling, Drawn):
        generator = np.random.default_rng([sampling.seed, int(clip_digest[:16] or "0", 16)])
        count = min(sampling.count, len(clip.ticks))
        numbers = sorted(generator.choice(len(clip.ticks), count, replace=False).tolist())
    else:
        shown = (clip.shown_at(seconds) for seconds in _wanted(clip, sampling))
        numbers = sorted({number for number in shown if number is not None})
    return _one_a_millisecond(clip, numbers)


def _wanted(clip: Clip, sampling: Rate | Times) -> list[Fraction]:
    if isinstance(sampling, Times):
        return [Fraction(seconds) for seconds in sampling.seconds]
    hertz = Fraction(sampling.hertz).limit_denominator(1_000_000)
    count = (clip.times[-1] - clip.times[0]) * hertz // NANOSECONDS + 1
    return [number / hertz for number in range(count + 1)]


def _one_a_millisecond(clip: Clip, numbers: Sequence[int]) -> list[int]:
    first: dict[int, int] = {}
    for number in numbers:
        first.setdefault((clip.times[number] - clip.times[0]) // 1_000_000, number)
    return list(first.values())
