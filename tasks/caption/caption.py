"""caption: frames -> what each clip shows, in words of a few lengths. A row is a clip; its texts are figures."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from configs.settings import ConfigError
from storage.items import Item
from storage.receipts import Receipt
from tasks.caption.asking import Asking, Chosen
from tasks.caption.checked import Faulty, refuse_faulty
from tasks.caption.clips import ClipsOfFrames, clips_of_frames
from tasks.caption.described import describe
from tasks.caption.kinds import captioner_digest
from tasks.caption.settings import DESCRIBED, OPENAI, Caption
from tasks.caption.surroundings import surroundings
from tasks.label.fuse import decode_labels
from tasks.stage.block import run_block
from tasks.stage.job import BadItem, Job, Output, given_up
from tasks.stage.kind import Edge, Inputs, Kind, Stage
from tasks.stage.upstream import Upstream
from tasks.video.captions import CAPTIONS, Captions
from tasks.video.settings import Frames

VERSION = "1"
FRAMES, LABELS = "frames", "labels"
"""Its inputs."""
ASKED = ("settings", "prompt", "forbidden", "seed", "views")
"""Settings that say what a model is asked."""
METRES = "metre"


def _says(settings: Caption, _inputs: Inputs) -> dict[str, Any]:
    if settings.kind != DESCRIBED:
        return settings.fingerprinted() | {"settings": settings.settings_said}
    return settings.fingerprinted(exclude=ASKED) | {"times": settings.views.times}


def _weights(settings: Caption, _inputs: Inputs) -> dict[str, str]:
    return {} if settings.kind in (DESCRIBED, OPENAI) else {"{key}": captioner_digest(settings.kind, settings.settings)}


def refuse_no_clips(stage: Stage) -> None:
    """Raise ConfigError if the panoramas are no frames of clips."""
    if not isinstance(stage.panoramas.settings, Frames):
        raise ConfigError(f"stages.{stage.key}: {stage.panoramas.key} gives no frames of clips; put a stage `frames` before it")


def _of_views(settings: Caption) -> Kind | None:
    return None if settings.kind == DESCRIBED else OF_VIEWS


KIND = Kind(
    "caption",
    VERSION,
    Caption,
    {FRAMES: Edge("panoramas"), LABELS: Edge("labels")},
    CAPTIONS,
    make="tasks.caption.caption:caption_block",
    grain="derived",
    derive=clips_of_frames,
    becomes=_of_views,
    says=_says,
    weights=_weights,
    fits=refuse_no_clips,
    outlook="tasks.caption.outlook:outlook",
    looks="tasks.caption.outlook:look",
    shows="tasks.caption.shown:show",
    summary="tasks.caption.shown:summary",
)
OF_VIEWS = replace(KIND, reads={FRAMES: KIND.reads[FRAMES]}, becomes=None)
"""Whoever looks at views reads no labels: new ones make no caption anew."""


def caption_block(job: Job) -> Receipt:
    """Write the captions of every clip of a block."""
    settings: Caption = job.settings
    clips = job.block
    assert isinstance(clips, ClipsOfFrames)
    of_labels = settings.kind == DESCRIBED
    read = Upstream(job, job.input(LABELS if of_labels else FRAMES))
    usable = frozenset(slot for slot, row in enumerate(read.receipt.items) if row.state == "done")
    good = [clip for clip in clips.items if not clip.reason and clip.item not in job.given_up]
    chosen = {clip.slot: (clip, clips.chosen(clip, usable, settings.views.times)) for clip in good}
    chosen = {slot: one for slot, one in chosen.items() if one[1]}
    with _describing(settings, read, chosen) if of_labels else Asking(job, read).ahead(chosen) as say:

        def compute(clip: Item, _inputs: None) -> Output:
            if clip.reason:
                raise given_up(clip)
            if clip.slot not in chosen:
                raise BadItem(f"none of its frames has {'labels' if of_labels else 'a picture'}")
            return say(clip.slot)

        return run_block(job, compute, {"kind": settings.kind}, dict(job.identity.weights))


@contextmanager
def _describing(settings: Caption, labels: Upstream, chosen: Chosen) -> Iterator[Callable[[int], Output]]:
    """Sentences from the labels of frames. RuntimeError if these know no classes."""
    classes, lengths = list(labels.about.get("classes", ())), settings.words.ranges
    metric = labels.about.get("depth_unit") == METRES
    if not classes:
        raise RuntimeError(f"caption: the labels of {labels.stage.key} have no classes to speak of; add a teacher of semantics")

    def say(slot: int) -> Output:
        _, frames = chosen[slot]
        texts = describe(surroundings([decode_labels(labels.item(one.slot)) for one in frames], classes, metric), lengths)
        try:
            refuse_faulty(texts, lengths)
        except Faulty as error:
            raise BadItem(f"{error}; change `words`") from error
        return Output(figures=Captions(texts, DESCRIBED).as_figures())

    yield say
