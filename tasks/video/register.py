"""register: all clips -> tables for whoever trains on them or judges by them: ``clips.parquet`` and ``master.csv``."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from configs.settings import ConfigError
from storage.entries import write_file
from storage.items import Item
from storage.receipts import Receipt
from storage.rows import ItemRow
from tasks.ingest.placed import derived_block, panorama_blocks
from tasks.ingest.videos.cut_names import VIDEO
from tasks.stage.block import make_whole
from tasks.stage.grain import blocks_behind
from tasks.stage.job import Job, Output
from tasks.stage.kind import Edge, Kind, Stage
from tasks.stage.late import stored
from tasks.stage.upstream import open_block
from tasks.video.captions import CAPTIONS
from tasks.video.clip_block import CLIPS, clips_of
from tasks.video.clip_table import SCHEMA, clip_row, master_csv
from tasks.video.settings import Register

VERSION = "2"
LABELS = "labels"
TABLE, MASTER = "clips.parquet", "master.csv"
"""Files in its block."""
REGISTER = "clip table"
"""What it gives."""


def refuse_other_videos(stage: Stage) -> None:
    """Raise ConfigError if the labels or captions that it reads are of other videos."""
    for name, does in ((LABELS, "labels"), (CAPTIONS, "captions")):
        for read in stage.stages(name):
            if read.origin.identity != stage.origin.identity or read.origin.settings.source != stage.origin.settings.source:
                raise ConfigError(
                    f"stages.{stage.key}: {read.key} {does} {read.origin.key}, not {stage.origin.key}; name {name} of these "
                    f"videos: {stage.key}: {{{name}: STAGE}}, or put it before that stage"
                )


KIND = Kind(
    "register",
    VERSION,
    Register,
    {CLIPS: Edge(CLIPS), **{name: Edge(name, maybe=True, anywhere=True) for name in (LABELS, CAPTIONS)}},
    REGISTER,
    make="tasks.video.register:register_block",
    grain="all",
    fits=refuse_other_videos,
    shows="tasks.video.register_shown:show",
    summary="tasks.video.register_shown:summary",
)


def register_block(job: Job) -> Receipt:
    """Write both tables into the block's folder."""

    def make() -> Output:
        rows = clip_rows(job)
        table = io.BytesIO()
        pq.write_table(pa.Table.from_pylist(rows, SCHEMA), table, compression="zstd")
        files = write_file(job.url, TABLE, table.getvalue()) | write_file(job.url, MASTER, master_csv(rows))
        splits = Counter(row["split"] for row in rows)
        figures = {"clips": len(rows), "panoramas": len(rows), "splits": dict(sorted(splits.items()))}
        return Output(figures=figures, files=files)

    return make_whole(job, make, {"columns": SCHEMA.names})


def clip_rows(job: Job) -> list[dict[str, Any]]:
    """A row for each clip that was not given up, by name."""
    names = blocks_behind(job)
    given = job.input(CLIPS)
    blocks = panorama_blocks(given, names)
    if missing := [name for name in names if name not in blocks]:
        raise RuntimeError(f"{job.stage.root}: the videos of block {missing[0]} changed since the run was planned; run again")
    rows = []
    for name in names:
        labelled, captioned = Counter[str](), dict[str, ItemRow]()
        for labels in job.stage.stages(LABELS):
            labelled.update(_labelled(labels, derived_block(labels, blocks[name]).name))
        for captions in job.stage.stages(CAPTIONS):
            _, receipt = open_block(captions, derived_block(captions, blocks[name]).name)
            captioned |= {row.item: row for row in receipt.items}
        videos = {video.item: video for video in blocks[name].items}
        clips = [clip for clip in clips_of(job.stage, blocks[name], stored).items if not clip.reason]
        rows += [
            clip_row(clip, _video(clip, videos), job.settings, labelled[clip.item], captioned.get(clip.item)) for clip in clips
        ]
    return sorted(rows, key=lambda row: str(row["clip_id"]))


def _video(clip: Item, videos: Mapping[str, Item]) -> Item:
    """The video of a clip: itself where nothing cut it."""
    return videos.get(clip.item) or videos[clip.metadata[VIDEO]]


def _labelled(labels: Stage, name: str) -> Iterator[str]:
    """The clip of every frame of a block that has depth."""
    _, receipt = open_block(labels, name)
    if receipt.about.get("depth_unit"):
        yield from (row.item.rpartition("/")[0] for row in receipt.items if row.state == "done")
