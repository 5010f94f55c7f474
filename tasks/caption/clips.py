"""The clips of a block of frames: a stage that reads frames makes one row a clip."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property

from storage.items import Block, Item
from tasks.ingest.videos.clip import CLIP, NANOSECONDS, Clip
from tasks.stage.kind import Stage
from tasks.stage.late import LateBlock, as_known, is_foreseen
from tasks.stage.plain import Found
from tasks.video.clip_block import placed
from tasks.video.frame_block import OF_CLIP, TIME, FrameBlock


@dataclass(frozen=True)
class ClipsOfFrames(LateBlock):
    """The clips whose ``frames`` are the items of a block, under the name of that."""

    frames: Sequence[Item] = ()

    @cached_property
    def _by_clip(self) -> dict[str, list[Item]]:
        found: dict[str, list[Item]] = {}
        for frame in self.frames:
            found.setdefault(frame.metadata[OF_CLIP], []).append(frame)
        return found

    def chosen(self, clip: Item, usable: Collection[int], count: int) -> list[Item]:
        """The frames of a clip that lie nearest to the middles of so many equal parts of it, of those in ``usable`` slots; in the
        order of time, each once."""
        there = [frame for frame in self._by_clip.get(clip.item, ()) if frame.slot in usable]
        known = Clip.from_json(clip.figures[CLIP])
        start, length = known.times[0], known.end_of(len(known.ticks) - 1) - known.times[0]
        middles = [start + (2 * part + 1) * length / (2 * count) for part in range(count)]
        nearest = {min(there, key=lambda frame: abs(frame.metadata[TIME] - middle)).slot for middle in middles if there}
        return [frame for frame in there if frame.slot in nearest]


def seconds_into(clip: Item, frame: Item) -> float:
    """When a frame is shown, in seconds after the first of its clip."""
    return float(frame.metadata[TIME] - Clip.from_json(clip.figures[CLIP]).times[0]) / NANOSECONDS


def clips_of_frames(stage: Stage, block: Block, found: Found) -> Block:
    """The block of clips of a block of frames; foreseen as long as its frames are."""
    known = as_known(block, found)
    assert isinstance(known, FrameBlock)
    of, by = (block, stage) if is_foreseen(known) else (None, None)
    return ClipsOfFrames(known.index, placed(known.clips), known.name, of, by, known.items)
