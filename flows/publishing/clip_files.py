"""Exports of clips for training of video models: WebDataset shards, Cosmos's folders, and PanoWorld's tree."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from configs.pipeline import Config
from configs.settings import ConfigError
from flows.publishing.clips import Clips, Labelled, Row, registered_clips
from flows.publishing.earlier import earlier_files
from storage.fingerprint import digest
from storage.published.samples import SHARD_BYTES, FileSample, Split, export_splits
from storage.urls import join, remove, write_bytes
from tasks.label.fuse import decode_labels
from tasks.video.captions import Captions
from tasks.video.clip_table import SCHEMA, master_csv
from tasks.video.encoding import encode_clip

COSMOS_RATE = 16
"""Frames a second of what Cosmos learns from."""
COSMOS_FRAMES = 94
"""That its loader needs at least: of 93 frames it takes 93, and draws where they begin among no place at all."""
SKY, FARTHEST = 1.0, 100.0
"""Depth of the sky in PanoWorld's files, and the metres that 1 stands for."""
INDEX = "index.json"
METRES = "metre"


@dataclass(frozen=True)
class How:
    """How clips are exported: with their ``pictures`` or without, of so many rows if ``height`` says so, and where shards end."""

    pictures: bool = True
    height: int | None = None
    shard_bytes: int = SHARD_BYTES

    def __post_init__(self) -> None:
        if self.height is not None and (self.height < 8 or self.height % 2):
            raise ConfigError(f"--height {self.height}: must be an even number of rows, such as 512")


def export_clips(config: Config, layout: str, folder: str, stage: str | None = None, how: How | None = None) -> dict[str, Any]:
    """Write the clips that a stage registered to a folder or URL, and last ``index.json``, which is returned.

    Raises
    ------
    ConfigError
        No stage registers clips, or several and none is named.
    NotFinished
        They are owed or damaged, or a video is not the one that was registered.
    """
    clips = registered_clips(config, stage)
    return LAYOUTS[layout](clips, folder, how or How())


def video_of(clips: Clips, row: Row, height: int | None) -> bytes:
    """A clip as an MP4, with all its frames at their times."""
    known = clips.known(row)
    return encode_clip(clips.pictures(row, range(len(known.ticks)), height), known.ticks, known.time_base)


def webdataset(clips: Clips, folder: str, how: How) -> dict[str, Any]:
    """Shards with ``mp4``, ``json`` and ``npz`` of every clip: see docs/video.md."""
    names = sorted({row["split"] for row in clips.rows})
    splits = [Split(name, None, _samples(clips, name, how)) for name in names]
    about = {"fingerprint": clips.fingerprint, "clips": len(clips.rows), "pictures": how.pictures}
    return export_splits(folder, splits, "webdataset", about, how.shard_bytes)


def _samples(clips: Clips, split: str, how: How) -> Iterator[FileSample]:
    for row in clips.rows:
        if row["split"] == split:
            files = {"mp4": video_of(clips, row, how.height)} if how.pictures else {}
            labelled = clips.labelled(row)
            told = {**_told(row), "labels": dict(labelled.about) if labelled else None}
            yield FileSample(row["clip_id"], files | {"npz": _npz(_stacked(row, labelled))}, told)


def _told(row: Row) -> dict[str, Any]:
    """A row as JSON values, without what lies elsewhere in the sample."""
    own = {
        name: value for name, value in row.items() if name not in ("video_path", "annotation_dir", "caption_path", "frames_ns")
    }
    return own | {name: row[name] and json.loads(row[name]) for name in ("metadata", "figures", "captions")}


def _stacked(row: Row, labelled: Labelled | None) -> dict[str, NDArray]:
    """``frames_ns`` (T,) of all frames; of those that are labelled ``time_ns`` (K,) and each array (K, ...) as it is stored."""
    arrays = {"frames_ns": np.array(row["frames_ns"], np.int64)}
    if labelled is None:
        return arrays
    names = labelled.arrays[0]
    stacked = {name: np.stack([one[name] for one in labelled.arrays]) for name in names}
    return {**arrays, "time_ns": np.array(labelled.times, np.int64), **stacked}


def cosmos(clips: Clips, folder: str, how: How) -> dict[str, Any]:
    """``videos/<name>.mp4`` at 16 frames a second by presentation time, ``captions/<name>.json`` of those that have some, and
    ``train.csv`` and ``val.csv`` with their names."""
    files = _Files(folder)
    left_out: dict[str, str] = {}
    names: dict[str, list[str]] = {"train": [], "val": []}
    for row in clips.rows:
        numbers = at_rate(clips, row, COSMOS_RATE)
        if len(numbers) < COSMOS_FRAMES:
            seconds = -(-COSMOS_FRAMES // COSMOS_RATE)
            left_out[row["clip_id"]] = (
                f"{len(numbers)} frames at {COSMOS_RATE} a second, and the loader needs {COSMOS_FRAMES}: cut clips of {seconds} s"
            )
            continue
        if how.pictures:
            pictures = clips.pictures(row, numbers, how.height)
            files.write(row["video_path"], encode_clip(pictures, range(len(numbers)), Fraction(1, COSMOS_RATE)))
        _write_captions(files, row)
        names.setdefault(row["split"], []).append(row["video_path"].rpartition("/")[2].removesuffix(".mp4"))
    for split, own in names.items():
        files.write(f"{split}.csv", _one_column("video_basename", own))
    return files.end(clips, left_out)


def _write_captions(files: _Files, row: Row) -> None:
    """The captions of a clip, below the name of who wrote them, as loaders of Cosmos and PanoWorld look for them."""
    if row["caption_path"]:
        captions = Captions(json.loads(row["captions"]), row["caption_kind"], row["caption_model"] or "")
        files.write(row["caption_path"], (json.dumps({captions.key: dict(captions.texts)}, indent=1) + "\n").encode())


def at_rate(clips: Clips, row: Row, rate: int) -> list[int]:
    """Numbers of the frames that are shown at a clip's start and each 1 / ``rate`` seconds after, until it ends."""
    clip = clips.known(row)
    count = (row["end_ns"] - clip.times[0]) * rate // 1_000_000_000 + 1
    times = (Fraction(number, rate) for number in range(count) if number * 1_000_000_000 < (row["end_ns"] - clip.times[0]) * rate)
    shown = [clip.shown_at(time) for time in times]
    return [number for number in shown if number is not None]


def panoworld(clips: Clips, folder: str, how: How) -> dict[str, Any]:
    """``master.csv``, ``videos/``, ``annotations/<name>/depth/0000.npy ...`` and ``meta.json``: see docs/video.md."""
    files = _Files(folder)
    left_out: dict[str, str] = {}
    rows: list[dict[str, Any]] = []
    for row in clips.rows:
        own = dict(row)
        if how.pictures:
            files.write(own["video_path"], video_of(clips, row, how.height))
            own |= {"resolution": f"{2 * how.height}x{how.height}"} if how.height else {}
        else:
            own["video_path"] = None
        _write_captions(files, row)
        labelled = clips.labelled(row)
        if labelled is not None and labelled.about.get("depth_unit") == METRES:
            _annotate(files, own, labelled)
        else:
            own |= {"annotation_dir": None, "has_depth": False, "depth_kind": None}
            if labelled is not None:
                left_out[row["clip_id"]] = f"its depth is no distance in metres, but {labelled.about.get('depth_unit') or 'none'}"
        rows.append(own)
    table = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows, SCHEMA), table, compression="zstd")
    files.write("clips.parquet", table.getvalue())
    files.write("master.csv", master_csv(rows))
    return files.end(clips, left_out)


def _annotate(files: _Files, row: Mapping[str, Any], labelled: Labelled) -> None:
    """Depth of the labelled frames in PanoWorld's units, and where it is valid."""
    folder, valid, farthest = row["annotation_dir"], [], []
    for number, arrays in enumerate(labelled.arrays):
        labels = decode_labels(arrays)
        depth = np.where(labels["depth_valid"], labels["depth"] / FARTHEST, 0)
        known = labels["depth_valid"]
        if "sky" in labels:
            depth, known = np.where(labels["sky"], SKY, depth), known | labels["sky"]
        files.write(f"{folder}/depth/{number:04d}.npy", _npy(np.minimum(depth, SKY).astype(np.float32)))
        valid.append(known)
        farthest += [float(np.percentile(labels["depth"][labels["depth_valid"]], 99))] * bool(labels["depth_valid"].any())
    files.write(f"{folder}/valid.npy", _npy(np.stack(valid)))
    width, height = (int(side) for side in row["resolution"].split("x"))
    meta = {
        "video_resolution": [width, height],
        "depth_resolution": [valid[0].shape[1], valid[0].shape[0]],
        "n_frames": len(valid),
        "frames_ns": list(labelled.times),
        "max_depth_m": round(max(farthest), 3) if farthest else None,
    }
    files.write(f"{folder}/meta.json", (json.dumps(meta, indent=1) + "\n").encode())


class _Files:
    """Files of an export, written one after the other; those of an earlier export that this one has not are removed."""

    def __init__(self, folder: str) -> None:
        self._folder, self._written = folder, dict[str, dict[str, Any]]()
        self._before = earlier_files(folder, INDEX, lambda index: index["files"])
        remove(join(folder, INDEX))

    def write(self, path: str, data: bytes) -> None:
        """Write one."""
        write_bytes(join(self._folder, path), data)
        self._written[path] = {"bytes": len(data), "sha256": digest(data)}

    def end(self, clips: Clips, left_out: Mapping[str, str]) -> dict[str, Any]:
        """Remove what is left of an earlier export, and write the index: with it the export is whole."""
        for path in sorted(self._before - self._written.keys()):
            remove(join(self._folder, path))
        index = {"fingerprint": clips.fingerprint, "clips": len(clips.rows), "left_out": dict(left_out), "files": self._written}
        write_bytes(join(self._folder, INDEX), (json.dumps(index, indent=1, sort_keys=True) + "\n").encode())
        return index


def _one_column(name: str, values: list[str]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([[name], *([value] for value in values)])
    return text.getvalue().encode()


def _npz(arrays: Mapping[str, NDArray]) -> bytes:
    np.savez_compressed(out := io.BytesIO(), allow_pickle=False, **arrays)
    return out.getvalue()


def _npy(values: NDArray) -> bytes:
    np.save(out := io.BytesIO(), np.ascontiguousarray(values), allow_pickle=False)
    return out.getvalue()


LAYOUTS: Mapping[str, Callable[[Clips, str, How], dict[str, Any]]] = {
    "webdataset": webdataset,
    "cosmos": cosmos,
    "panoworld": panoworld,
}
"""By what ``export --to`` calls them."""
