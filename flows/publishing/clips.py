"""Clips that a stage registered, as whoever exports them sees them: their rows, their frames, and the labels of some of these."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from configs.pipeline import Config
from configs.settings import ConfigError
from flows.invocation import typed
from flows.plan import Plan, make_plan
from flows.stores.finished import NotFinished
from storage.arrays import BlockReader
from storage.items import Block, Item
from storage.receipts import Receipt, damage, withdraw
from storage.urls import join, read_bytes
from tasks.ingest.images.resizing import resize_image
from tasks.ingest.videos.clip import CLIP, Clip
from tasks.ingest.videos.demux import demux
from tasks.ingest.videos.opened import BadClip
from tasks.ingest.videos.packets import part_digest
from tasks.ingest.videos.reader import ClipReader
from tasks.stage.kind import Step
from tasks.video.clip_block import clip_block
from tasks.video.frame_block import TIME
from tasks.video.register import LABELS, REGISTER, TABLE

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Labelled:
    """Labels of frames of a clip: when each is shown in the video, and its arrays as they are stored, in the order of time."""

    times: Sequence[int]
    arrays: Sequence[Mapping[str, NDArray]]
    about: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Clips:
    """The clips of a finished table. ``fingerprint`` is that of the stage that made it."""

    step: Step
    plan: Plan
    rows: Sequence[Row]
    remake: str

    @property
    def fingerprint(self) -> str:
        """Of the stage that registered them."""
        return self.step.stage.identity.fingerprint

    @cached_property
    def items(self) -> dict[str, Item]:
        """The clips by name."""
        stage = self.step.stage
        videos = [block for source in self.plan.sources if source.key == stage.origin.key for block in source.blocks]
        blocks = [clip_block(stage, block, self.plan.receipts.in_list) for block in videos]
        return {item.item: item for block in blocks for item in block.items}

    @cached_property
    def _labels(self) -> tuple[Step, Mapping[str, list[tuple[Block, Receipt, int]]]] | None:
        """The stage that labels frames, and by clip the places of these."""
        (labels,) = self.step.stage.stages(LABELS) or (None,)
        if labels is None:
            return None
        step, places = self.plan.step(labels.key), dict[str, list[tuple[Block, Receipt, int]]]()
        for block, receipt in self.plan.receipts.with_data(step):
            for slot, row in enumerate(receipt.items):
                if row.state == "done":
                    places.setdefault(row.item.rpartition("/")[0], []).append((block, receipt, slot))
        return step, places

    def labelled(self, row: Row) -> Labelled | None:
        """The labels of a clip's frames; None if there are none."""
        step, places = self._labels or (None, {})
        own = places.get(row["clip_id"], []) if step else []
        if not own or step is None:
            return None
        times = [block.items[slot].metadata[TIME] for block, _, slot in own]
        arrays = [BlockReader(step.stage.block_url(block.name), receipt.files).item(slot) for block, receipt, slot in own]
        return Labelled(times, arrays, own[0][1].about)

    def known(self, row: Row) -> Clip:
        """What is known of a clip's frames."""
        return Clip.from_json(self.items[row["clip_id"]].figures[CLIP])

    def pictures(self, row: Row, numbers: Sequence[int], height: int | None = None) -> Iterator[NDArray[np.uint8]]:
        """The frames of a clip with these numbers, ascending, a number as often as it comes; of so many rows if that is given.

        Raises
        ------
        NotFinished
            The video is not the one that was registered, or cannot be read any more.
        """
        item, clip = self.items[row["clip_id"]], self.known(row)
        before, picture = -1, np.zeros(0, np.uint8)
        try:
            found = demux(item.uri).digest if clip.whole else part_digest(item.uri, clip)
            if found != item.digest:
                raise BadClip("the file changed since it was registered")
            with ClipReader(item.uri, clip) as reader:
                for number in numbers:
                    if number != before:
                        whole = reader.panorama(clip.ticks[number])
                        picture = _even(whole if height is None else resize_image(whole, height))
                    before = number
                    yield picture
        except (BadClip, FileNotFoundError) as error:
            raise NotFinished(f"{item.uri}: {error}; run {self.remake}, then export again") from error


def _even(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Pixels of even sizes, which colours of half the size need: an odd row or column is left out."""
    return np.ascontiguousarray(pixels[: len(pixels) // 2 * 2, : pixels.shape[1] // 2 * 2])


def registers(plan: Plan) -> list[str]:
    """Keys of the stages that register clips."""
    return [step.key for step in plan.steps if step.stage.kind.gives == REGISTER]


def registered_clips(config: Config, stage: str | None = None) -> Clips:
    """The clips that a stage registered, the named one or the only one.

    Raises
    ------
    ConfigError
        No stage registers clips, or several do.
    NotFinished
        The table, or something that it is made of, is owed or damaged.
    """
    plan, remake = make_plan(config, rehash=False), typed("run")
    giving = registers(plan)
    if stage is not None and stage not in giving:
        raise ConfigError(f"--stage {stage}: registers no clips; stages that do: {', '.join(giving) or 'none'}")
    if stage is None and len(giving) != 1:
        hint = f"say which one: --stage KEY ({', '.join(giving)})" if giving else "add `register: {}` to the file, and run it"
        raise ConfigError(f"clips are exported from the stage that registers them; {hint}")
    step = plan.step(stage or giving[0])
    owed = {row.stage: row.to_run for row in plan.stages if row.to_run}
    found = plan.receipts.with_data(step)
    if owed.get(step.key) or not found:
        told = ", ".join(f"{key} {count}" for key, count in owed.items())
        raise NotFinished(f"clips are not registered yet; owed by stage: {told}. Finish them with {remake}")
    (block, receipt), url = found[0], step.stage.block_url(found[0][0].name)
    if problems := damage(url, receipt):
        raise NotFinished(f"{url}: {problems[0]}; {withdraw(url, receipt)}: {remake}, then try again")
    rows = pq.read_table(io.BytesIO(read_bytes(join(step.stage.block_url(block.name), TABLE)))).to_pylist()
    return Clips(step, plan, rows, remake)
