"""Finished samples in the formats that training code reads: WebDataset tar shards, and Hugging Face Parquet.

Equal samples give equal bytes. A shard is built in memory, bounded in size, and written at once; ``index.json`` comes last.
"""

from __future__ import annotations

import io
import json
import re
import tarfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from storage.fingerprint import canonical_json, digest
from storage.urls import join, read_bytes, remove, write_bytes

SHARD_BYTES = 256 << 20
INDEX = "index.json"
SPLIT = re.compile(r"\w+(\.\w+)*")


@dataclass(frozen=True)
class Sample:
    """One panorama: the bytes of its image file, its labels, and what is told of it (JSON values)."""

    item: str
    image: bytes
    extension: str
    labels: Mapping[str, NDArray]
    about: Mapping[str, Any]

    @property
    def parts(self) -> dict[str, bytes]:
        """The labels as files by extension: PNG for ``semantics``, ``.npy`` for all others; both lossless."""
        return {_part(name): _png(value) if name == "semantics" else _npy(value) for name, value in sorted(self.labels.items())}

    @property
    def files(self) -> dict[str, bytes]:
        """All its files but what is told, by extension."""
        return {self.extension: self.image, **self.parts}


@dataclass(frozen=True)
class FileSample:
    """Anything as ``files`` by extension, and what is told of it (JSON values)."""

    item: str
    files: Mapping[str, bytes]
    about: Mapping[str, Any]


AnySample = Sample | FileSample


@dataclass(frozen=True)
class Split:
    """The samples of one split, streamed, and the bytes that each takes at most, which decide where shards begin; where ``sizes``
    are not known beforehand, what they take does."""

    name: str
    sizes: Sequence[int] | None
    samples: Iterable[AnySample]


def export_splits(
    folder: str, splits: Iterable[Split], layout: str, about: Mapping[str, Any], shard_bytes: int = SHARD_BYTES
) -> dict[str, Any]:
    """Write all splits and then the index, which is returned.

    Parameters
    ----------
    folder : str
        Any fsspec URL. Shards of an earlier export that this one does not have are removed.
    splits : iterable
    layout : {"webdataset", "parquet"}
    about : mapping
        Goes into the index, JSON values.
    shard_bytes : int
        A shard holds less, or one sample.

    Raises
    ------
    ValueError
        The name of a split cannot be part of a file name, or a sample cannot be had. No index is there then.
    """
    write = WRITERS[layout]
    before = _shards_of(folder)
    remove(join(folder, INDEX))
    shards = []
    for split in splits:
        if not SPLIT.fullmatch(split.name):
            raise ValueError(f"split {split.name!r}: may hold letters, digits, _ and . only; rename it in the list of the source")
        groups, of = _groups(split, shard_bytes)
        for number, group in enumerate(groups):
            name, data = write(split.name, number, of, group)
            write_bytes(join(folder, name), data)
            shards.append({"file": name, "split": split.name, "items": len(group), "bytes": len(data), "sha256": digest(data)})
    index = {**about, "format": layout, "shards": shards}
    for name in before - {shard["file"] for shard in shards}:
        remove(join(folder, name))
    write_bytes(join(folder, INDEX), json.dumps(index, indent=1, sort_keys=True, ensure_ascii=False).encode())
    return index


def _groups(split: Split, limit: int) -> tuple[Iterator[list[AnySample]], int]:
    """The samples of each shard, and how many shards there are; 0 where that is seen as they come."""
    samples = iter(split.samples)
    if split.sizes is None:
        return _as_they_come(samples, limit), 0
    counts = shard_counts(split.sizes, limit)
    return (list(islice(samples, count)) for count in counts), len(counts)


def _as_they_come(samples: Iterable[AnySample], limit: int) -> Iterator[list[AnySample]]:
    group: list[AnySample] = []
    filled = 0
    for sample in samples:
        size = sum(map(len, sample.files.values()))
        if group and filled + size > limit:
            yield group
            group, filled = [], 0
        group.append(sample)
        filled += size
    if group:
        yield group


def shard_counts(sizes: Sequence[int], limit: int) -> list[int]:
    """How many samples each shard holds, in order, so that none exceeds the limit unless one sample does."""
    counts: list[int] = []
    filled = limit
    for size in sizes:
        if filled + size > limit or not counts:
            counts.append(0)
            filled = 0
        counts[-1] += 1
        filled += size
    return counts


def _shards_of(folder: str) -> set[str]:
    try:
        return {shard["file"] for shard in json.loads(read_bytes(join(folder, INDEX)))["shards"]}
    except FileNotFoundError:
        return set()


def _tar(split: str, number: int, _of: int, samples: Sequence[AnySample]) -> tuple[str, bytes]:
    """Keys are positions in the split and shard: item names may hold dots and slashes, which WebDataset would split."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for position, sample in enumerate(samples):
            about = {**sample.about, "item": sample.item}
            files = {**sample.files, "json": canonical_json(about).encode()}
            for extension, data in files.items():
                entry = tarfile.TarInfo(f"{split.replace('.', '_')}-{number:05d}-{position:05d}.{extension}")
                entry.size = len(data)
                tar.addfile(entry, io.BytesIO(data))
    return f"{split}-{number:05d}.tar", buffer.getvalue()


def _parquet(split: str, number: int, of: int, samples: Sequence[AnySample]) -> tuple[str, bytes]:
    rows = list(_rows([sample for sample in samples if isinstance(sample, Sample)]))
    features = {name: _feature(name) for name in rows[0]}
    fields = [pa.field(name, IMAGE if feature == {"_type": "Image"} else _arrow(feature)) for name, feature in features.items()]
    schema = pa.schema(fields, {"huggingface": json.dumps({"info": {"features": features}})})
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows, schema), buffer, compression="zstd", row_group_size=16)
    return f"{split}/{split}-{number:05d}-of-{of:05d}.parquet", buffer.getvalue()


IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def _rows(samples: Sequence[Sample]) -> Iterator[dict[str, Any]]:
    for sample in samples:
        labels = {extension.replace(".", "_"): data for extension, data in sample.parts.items()}
        if "semantics_png" in labels:
            labels["semantics"] = {"bytes": labels.pop("semantics_png"), "path": "semantics.png"}  # type: ignore[assignment]
        image = {"bytes": sample.image, "path": f"{sample.item}.{sample.extension}"}
        yield {"item": sample.item, "image": image, "about": canonical_json(sample.about), **labels}


def _feature(name: str) -> dict[str, str]:
    if name in ("image", "semantics"):
        return {"_type": "Image"}
    return {"dtype": "string" if name in ("item", "about") else "binary", "_type": "Value"}


def _arrow(feature: Mapping[str, str]) -> pa.DataType:
    return pa.string() if feature["dtype"] == "string" else pa.binary()


def _part(name: str) -> str:
    return "semantics.png" if name == "semantics" else f"{name}.npy"


def _npy(value: NDArray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, value, allow_pickle=False)
    return buffer.getvalue()


def _png(value: NDArray) -> bytes:
    return bytes(cv2.imencode(".png", value)[1])


WRITERS: dict[str, Callable[[str, int, int, Sequence[AnySample]], tuple[str, bytes]]] = {"webdataset": _tar, "parquet": _parquet}
