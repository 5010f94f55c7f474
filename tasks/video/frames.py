"""frames: clips -> panoramas. Decodes the frames that are wanted at their exact times, and stores them as panoramas."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack

import numpy as np
from numpy.typing import NDArray

from storage.items import Item
from storage.receipts import Receipt
from tasks.ingest.images.resizing import resize_image
from tasks.ingest.stored import OBSERVED, PIXELS
from tasks.ingest.videos.clip import CLIP, Clip
from tasks.ingest.videos.demux import demux
from tasks.ingest.videos.opened import BadClip
from tasks.ingest.videos.packets import part_digest
from tasks.ingest.videos.reader import ClipReader
from tasks.stage.block import run_block
from tasks.stage.job import BadItem, Job, Output, given_up
from tasks.stage.kind import Edge, Kind
from tasks.video.frame_block import OF_CLIP, TIME, FrameBlock, frame_block
from tasks.video.settings import Frames

VERSION = "1"

KIND = Kind(
    "frames",
    VERSION,
    Frames,
    {"clips": Edge("clips")},
    "panoramas",
    make="tasks.video.frames:frames_block",
    grain="derived",
    derive=frame_block,
)


def frames_block(job: Job) -> Receipt:
    """Store the panoramas of a block of clips; in memory are a few frames, however long the clips are."""
    settings: Frames = job.settings
    assert isinstance(job.block, FrameBlock)
    with _OneByOne(job.block.clips) as clips:

        def read(_slot: int, item: Item) -> NDArray[np.uint8]:
            if item.reason:
                raise given_up(item)
            try:
                pixels = clips.panorama(item.metadata[OF_CLIP], item.metadata[TIME])
            except BadClip as error:
                raise BadItem(str(error)) from error
            return resize_image(pixels, settings.height)

        def store(item: Item, pixels: NDArray[np.uint8]) -> Output:
            arrays = {PIXELS: pixels, OBSERVED: np.ones(pixels.shape[:2], np.bool_)}
            return Output(arrays, {TIME: item.metadata[TIME]})

        return run_block(job, store, {"time": "nanoseconds of presentation"}, read=read)


class _OneByOne:
    """The clips of a block, one of them open at a time: frames come clip by clip."""

    def __init__(self, clips: Sequence[Item]) -> None:
        self._clips = {clip.item: clip for clip in clips}
        self._opened = ExitStack()
        self._name = ""
        self._reader: tuple[ClipReader, Clip] | BadItem = BadItem("no clip is open")

    def __enter__(self) -> _OneByOne:
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.close()

    def panorama(self, name: str, time: int) -> NDArray[np.uint8]:
        """The panorama of a clip's frame at a presentation time in nanoseconds; BadItem if the clip is not what was ingested."""
        if name != self._name:
            self._opened.close()
            self._name = name
            try:
                self._reader = self._open(self._clips[name])
            except BadItem as error:
                self._reader = error
        if isinstance(self._reader, BadItem):
            raise self._reader
        reader, clip = self._reader
        return reader.panorama(clip.tick(time))

    def _open(self, item: Item) -> tuple[ClipReader, Clip]:
        changed = f"{item.uri}: the file changed while the run was going; run again to ingest it anew"
        clip = Clip.from_json(item.figures[CLIP])
        try:
            found = demux(item.uri).digest if clip.whole else part_digest(item.uri, clip)
        except FileNotFoundError as error:
            raise BadItem(f"{item.uri}: the file is gone since it was ingested") from error
        except BadClip as error:
            raise BadItem(changed) from error
        if found != item.digest:
            raise BadItem(changed)
        return self._opened.enter_context(ClipReader(item.uri, clip)), clip
