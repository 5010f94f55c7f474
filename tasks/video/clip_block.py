"""The clips of a block of videos: these themselves, or what ``cut`` takes of them. A derived manifest, from receipts alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from storage.items import Block, Item
from storage.rows import ItemRow
from tasks.ingest.videos.clip import CLIP, NANOSECONDS, Clip
from tasks.ingest.videos.cut_names import VIDEO, below
from tasks.stage.job import GIVEN_UP_AT
from tasks.stage.kind import Stage
from tasks.stage.late import LateBlock
from tasks.stage.plain import Found

CLIPS = "clips"
"""What ``ingest`` of videos and ``cut`` give; the input of whoever reads them; and the figure of a video that lists its clips."""
START, END, SHOT = "start_ns", "end_ns", "shot"
"""Metadata of a clip that was cut, beside its video: when its first frame is shown there, when the first that is not its own any
more, in nanoseconds of presentation, and the number of its shot."""


@dataclass(frozen=True)
class CutClip:
    """A clip as ``cut`` notes it: numbers of frames in its video, and the digest of the packets that they are decoded from.

    ``figures``: what was seen of it.
    """

    first: int
    count: int
    shot: int
    digest: str
    figures: Mapping[str, float]

    def as_json(self) -> dict[str, Any]:
        """JSON values."""
        own = {"first": self.first, "count": self.count, "shot": self.shot, "digest": self.digest}
        return own | ({"figures": dict(self.figures)} if self.figures else {})

    @staticmethod
    def from_json(values: Mapping[str, Any]) -> CutClip:
        """The clip of :meth:`as_json`."""
        first, count, shot, digest = (values[name] for name in ("first", "count", "shot", "digest"))
        return CutClip(first, count, shot, digest, values.get("figures", {}))


@dataclass(frozen=True)
class Clips:
    """The clips of a block; they are foreseen, and not ``known``, while what they are cut from is not cut yet."""

    items: Sequence[Item]
    known: bool


def clips_of(stage: Stage, block: Block, found: Found) -> Clips:
    """The clips that a stage reads of a block of videos."""
    (given,) = stage.stages(CLIPS)
    return cut_clips(given, block, found) if given.kind.tells is not None else Clips(block.items, True)


def cut_clips(cut: Stage, block: Block, found: Found) -> Clips:
    """The clips that were cut from a block of videos, in the order of these; of a video without any, itself with the reason."""
    receipt = found(cut, block.name)
    if receipt is None:
        seconds = float(cut.settings.seconds)
        return Clips(tuple(clip for video in block.items for clip in _foreseen(video, seconds)), False)
    items = tuple(
        clip for video, row in zip(block.items, receipt.items, strict=True) for clip in clips_of_video(cut.name, video, row)
    )
    return Clips(items, True)


def clips_of_video(stage: str, video: Item, row: ItemRow) -> list[Item]:
    """The clips of one video, by what the stage of that name says of it."""
    if row.state != "done":
        return [replace(video, digest="", reason=row.reason, figures={GIVEN_UP_AT: row.given_up_at or stage})]
    known = Clip.from_json(video.figures[CLIP])
    return [clip_item(video, known, CutClip.from_json(one)) for one in row.figures[CLIPS]]


def clip_item(video: Item, known: Clip, cut: CutClip) -> Item:
    """A clip as an item of its own."""
    part = known.part(cut.first, cut.count)
    start, end = part.times[0], known.end_of(cut.first + cut.count - 1)
    place = {VIDEO: video.item, START: start, END: end, SHOT: cut.shot}
    return replace(
        video,
        item=below(video.item, start - known.times[0]),
        digest=cut.digest,
        size=0,
        stamp="",
        metadata={**video.metadata, **place},
        figures={CLIP: part.as_json(), **cut.figures},
    )


def _foreseen(video: Item, seconds: float) -> list[Item]:
    """The clips that a video will have if all of it is one shot; they have no digest, so nothing is known of them."""
    if video.reason or CLIP not in video.figures:
        return [replace(video, digest="", figures={})]
    known = Clip.from_json(video.figures[CLIP])
    length = round(seconds * NANOSECONDS)
    firsts = [0]
    for number, time in enumerate(known.times):
        if time - known.times[firsts[-1]] >= length:
            firsts.append(number)
    ends = [*firsts[1:], len(known.ticks)]
    cuts = (CutClip(first, end - first, 0, "", {}) for first, end in zip(firsts, ends, strict=True))
    return [clip_item(video, known, cut) for cut in cuts]


def clip_block(stage: Stage, block: Block, found: Found) -> Block:
    """The block of clips that a stage works on clip by clip: that of the videos where nothing cuts them."""
    clips = clips_of(stage, block, found)
    if clips.items == block.items:
        return block
    return LateBlock(block.index, placed(clips.items), block.name, *(() if clips.known else (block, stage)))


def placed(items: Sequence[Item]) -> Sequence[Item]:
    """Items in the slots of a block, in their order."""
    return tuple(replace(item, slot=slot) for slot, item in enumerate(items))


def count_clips(stage: Stage, block: Block, found: Found) -> tuple[int, bool] | None:
    """How many clips ``cut`` gives of a block, and whether it has; None if not even their lengths are known."""
    if any(not video.reason and CLIP not in video.figures for video in block.items):
        return None
    clips = cut_clips(stage, block, found)
    return sum(not clip.reason for clip in clips.items), clips.known
