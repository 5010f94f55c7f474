"""cut: videos -> clips. Decodes each video once, small, and notes which of its frames are clips; no picture is stored.

A video's row has its clips, its shots, and what is left out for which reason, in its figures: they are the manifest of the clips.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from configs.settings import ConfigError
from storage.items import Item
from storage.receipts import Receipt
from tasks.ingest.settings import Ingest
from tasks.ingest.videos.clip import CLIP, Clip
from tasks.ingest.videos.opened import BadClip
from tasks.stage.block import run_block
from tasks.stage.job import BadItem, Job, Output
from tasks.stage.kind import Edge, Facts, Inputs, Kind, Stage
from tasks.video.clip_block import CLIPS, CutClip, count_clips
from tasks.video.settings import Cut
from tasks.video.shots import Piece, joins, pieces_of, share
from tasks.video.watching import Seen, watch

VERSION = "1"
LEFT_OUT, SHOTS = "left_out", "shots"
"""Figures of a video beside its clips: by reason the parts that are left out and their seconds; first frames of its shots."""


def _says(settings: Cut, inputs: Inputs) -> Mapping[str, Any]:
    """Its settings, and how well panoramas must join, which ``ingest`` says."""
    (given,) = inputs[CLIPS]
    return {**settings.fingerprinted(), "limits": _limits(given.settings) if isinstance(given, Stage) else {}}


def _limits(settings: Any) -> dict[str, float]:
    names = ("most_seam", "most_poles", "most_halves", "least_corners")
    return {name: getattr(settings, name) for name in names if hasattr(settings, name)}


def _nothing(_settings: Cut, _inputs: Inputs) -> Facts:
    return ()


def _opens(_settings: Cut, _inputs: Inputs) -> bool:
    return True


def refuse_cut_clips(stage: Stage) -> None:
    """Raise ConfigError if it would cut what was cut before."""
    (given,) = stage.stages(CLIPS)
    if not given.is_source:
        sources = stage.panoramas.key
        raise ConfigError(f"stages.{stage.key}: cuts whole videos, not the clips of {given.key}; write clips: {sources}")


KIND = Kind(
    "cut",
    VERSION,
    Cut,
    {CLIPS: Edge(CLIPS)},
    CLIPS,
    make="tasks.video.cut:cut_block",
    says=_says,
    facts=_nothing,
    opens=_opens,
    tells=count_clips,
    fits=refuse_cut_clips,
    shows="tasks.video.cut_shown:show",
    summary="tasks.video.cut_shown:summary",
)


def cut_block(job: Job) -> Receipt:
    """Find the clips of every video of a block; in memory is one of its frames, and some bytes for each."""

    def compute(item: Item, _inputs: None) -> Output:
        if item.reason:
            raise BadItem(item.reason)
        try:
            return Output(figures=cut_video(item, job.settings, job.panoramas))
        except BadClip as error:
            raise BadItem(str(error)) from error
        except FileNotFoundError as error:
            raise BadItem(f"{item.uri}: the file is gone since it was ingested") from error

    return run_block(job, compute, {"time": "numbers of frames in the video"})


def cut_video(item: Item, settings: Cut, limits: Ingest) -> dict[str, Any]:
    """What is found of a video that ``ingest`` found good, as figures.

    Raises
    ------
    BadClip
        It has no clip, or is not what was ingested; the message says why.
    """
    clip = Clip.from_json(item.figures[CLIP])
    seen = watch(item.uri, clip, settings.shot_score, settings.still_noise, settings.look_seconds)
    pieces = pieces_of(clip, seen, settings, limits)
    left_out = _left_out(clip, [piece for piece in pieces if piece.reason])
    if seen.digests.whole != item.digest:
        raise BadClip(f"{item.uri}: the file changed while the run was going; run again to ingest it anew")
    clips = [_noted(clip, seen, piece) for piece in pieces if not piece.reason]
    if not clips:
        raise BadClip(f"no clip of {settings.least:g} s can be cut from it: {'; '.join(map(_told, left_out.items()))}")
    starts = sorted({piece.shot: piece.first for piece in reversed(pieces)}.values())
    return {CLIPS: [one.as_json() for one in clips], SHOTS: starts, LEFT_OUT: left_out}


def _left_out(clip: Clip, pieces: Sequence[Piece]) -> dict[str, dict[str, Any]]:
    """By reason what is left out, that of which there is most first."""
    found: dict[str, dict[str, Any]] = {}
    for piece in pieces:
        one = found.setdefault(piece.reason, {"parts": 0, "seconds": 0.0, "frames": 0})
        one |= {"parts": one["parts"] + 1, "frames": one["frames"] + piece.count}
        one["seconds"] = round(one["seconds"] + piece.seconds(clip), 3)
        one |= {"because": piece.because} if piece.because else {}
    return dict(sorted(found.items(), key=lambda one: -one[1]["seconds"]))


def _told(left_out: tuple[str, Mapping[str, Any]]) -> str:
    reason, found = left_out
    because = f" ({found['because']})" if "because" in found else ""
    return f"{reason}, {found['seconds']:.1f} s in {found['parts']} part{'s' * (found['parts'] > 1)}{because}"


def _noted(clip: Clip, seen: Seen, piece: Piece) -> CutClip:
    """A clip with what was seen of it."""
    change = np.frombuffer(seen.change, np.float32)[piece.first + 1 : piece.end]
    figures = {"change": round(float(change.mean()), 4) if len(change) else 0.0, "still": round(share(seen.still, piece), 3)}
    digest = seen.digests.of(clip.part(piece.first, piece.count))
    return CutClip(piece.first, piece.count, piece.shot, digest, {**figures, **joins(seen, piece)})
