"""The row of a clip in a table of many: PanoWorld's columns under their names, with true values, and what they lack."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from storage.fingerprint import canonical_json, digest
from storage.items import Item
from storage.rows import ItemRow
from tasks.ingest.videos.clip import CLIP, NANOSECONDS, Clip
from tasks.ingest.videos.cut_names import VIDEO
from tasks.video.captions import Captions
from tasks.video.clip_block import END, SHOT, START
from tasks.video.settings import Register

COLUMNS_OF_CAPTIONS = ("captions", "caption_kind", "caption_model", "caption_status")
"""By length the texts as JSON; who wrote them; and ``done``, or why there are none."""
_TEXT, _COUNT, _NUMBER, _YES = pa.string(), pa.int64(), pa.float64(), pa.bool_()
_COLUMNS: tuple[tuple[pa.DataType, str], ...] = (
    (_TEXT, "clip_id split video_path annotation_dir caption_path"),
    (_COUNT, "n_frames"),
    (_NUMBER, "fps"),
    (_TEXT, "resolution"),
    (_YES, "is_static has_depth has_tracks has_camera_poses"),
    (_TEXT, "depth_kind pose_kind trajectory_kind scene_id"),
    (_TEXT, "video"),
    (_COUNT, "start_ns end_ns shot"),
    (_TEXT, "group"),
    (pa.list_(_COUNT), "frames_ns"),
    (_COUNT, "labelled_frames"),
    (_NUMBER, "change still"),
    (_TEXT, "licence digest video_digest metadata figures"),
    (_TEXT, " ".join(COLUMNS_OF_CAPTIONS)),
)
SCHEMA = pa.schema([(name, kind) for kind, names in _COLUMNS for name in names.split()])
"""The first 16 are PanoWorld's, in their order; null is what nobody knows. Paths are those that every export of clips has."""
MASTER_COLUMNS = SCHEMA.names[:16]
ESTIMATED = "panolabel_estimated"
"""Kind of depth that was labelled."""
VIDEOS, CAPTION_FILES, ANNOTATIONS = "videos", "captions", "annotations"
"""Folders of an export."""
OWN = (VIDEO, START, END, SHOT)
"""Metadata that have columns."""


def clip_row(clip: Item, video: Item, settings: Register, labelled: int, captioned: ItemRow | None = None) -> dict[str, Any]:
    """The row of a clip of a video; so many of its frames are ``labelled`` with depth, and that became of its captions."""
    known = Clip.from_json(clip.figures[CLIP])
    times, file, metadata = known.times, file_name(clip.item), clip.metadata
    group = group_of(video, settings.group)
    figures = {name: value for name, value in clip.figures.items() if name not in (CLIP, "change", "still")}
    return {
        "clip_id": clip.item,
        "split": clip.split or split_of(group, settings.val),
        "video_path": f"{VIDEOS}/{file}.mp4",
        "annotation_dir": f"{ANNOTATIONS}/{file}" if labelled else None,
        "caption_path": f"{CAPTION_FILES}/{file}.json" if captioned and captioned.state == "done" else None,
        "n_frames": len(times),
        "fps": true_rate(times),
        "resolution": f"{clip.width}x{clip.height}",
        "is_static": None,
        "has_depth": labelled > 0,
        "has_tracks": False,
        "has_camera_poses": False,
        "depth_kind": ESTIMATED if labelled else None,
        "pose_kind": None,
        "trajectory_kind": _said(metadata, "trajectory_kind"),
        "scene_id": _said(metadata, "scene_id"),
        "video": video.item,
        "start_ns": times[0],
        "end_ns": int(metadata.get(END, known.end_of(len(times) - 1))),
        "shot": metadata.get(SHOT),
        "group": group,
        "frames_ns": list(times),
        "labelled_frames": labelled,
        "change": clip.figures.get("change"),
        "still": clip.figures.get("still"),
        "licence": _said(metadata, "licence") or _said(metadata, "license") or settings.licence or None,
        "digest": clip.digest,
        "video_digest": video.digest,
        "metadata": canonical_json({name: value for name, value in metadata.items() if name not in OWN}),
        "figures": canonical_json(figures),
        **_captions(captioned),
    }


def _captions(captioned: ItemRow | None) -> dict[str, str | None]:
    """Columns of captions: those of a clip without any are null, or say why."""
    if captioned is None or captioned.state != "done":
        return dict.fromkeys(COLUMNS_OF_CAPTIONS) | {"caption_status": captioned and captioned.reason}
    found = Captions.of(captioned.figures)
    values = (canonical_json(found.texts), found.kind, found.model or None, captioned.state)
    return dict(zip(COLUMNS_OF_CAPTIONS, values, strict=True))


def file_name(clip: str) -> str:
    """What the files of a clip are called in exports, without an ending: one name for each clip, in one folder."""
    plain = clip.replace("/", "__")
    return f"{plain}__{digest(clip.encode())[:8]}" if "__" in clip else plain


def group_of(video: Item, group: str) -> str:
    """What a video stays together with."""
    if group == "video":
        return video.item
    if group == "folder":
        return video.item.rpartition("/")[0] or video.item
    return str(video.metadata.get(group, video.item))


def split_of(group: str, val: float) -> str:
    """The split of a group, by its own name alone: whatever else comes, it stays there."""
    return "val" if int(digest(group.encode())[:8], 16) < val * 16**8 else "train"


def true_rate(times: Sequence[int]) -> float | None:
    """Frames a second between the first and the last, on average; None for a single one."""
    return round((len(times) - 1) * NANOSECONDS / (times[-1] - times[0]), 6) if len(times) > 1 else None


def _said(metadata: Mapping[str, Any], key: str) -> str | None:
    value = metadata.get(key)
    return None if value is None else str(value)


def master_csv(rows: Sequence[Mapping[str, Any]]) -> bytes:
    """PanoWorld's 16 columns of rows as CSV: 1 and 0 for what is so and what is not, nothing for what nobody knows."""
    text = io.StringIO()
    writer = csv.DictWriter(text, MASTER_COLUMNS, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({name: int(value) if isinstance(value, bool) else value for name, value in row.items()})
    return text.getvalue().encode()
