"""Bytes and processor milliseconds of ways to store a panorama's labels: what the stores do today, and others.

The labels are those of ``benchmarks.labels.cost``: a photograph that the demo's network saw. Chunks are those of the stores;
Zarr's own work and files are not counted but in the last table, of whole fused labels. Run from the project's root::

    python -m benchmarks.labels.encodings > benchmarks/results/labels/encodings.md
"""

from __future__ import annotations

import json
import os
import platform
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from statistics import median
from typing import Literal

import numpy as np
import torch
from numcodecs import Blosc, blosc
from numpy.typing import NDArray
from zarr.core.buffer import Buffer
from zarr.storage import MemoryStore

from benchmarks.labels.cost import CAMERAS, HEIGHT, Clock, label, prepare
from benchmarks.machine import machine
from geometry.fusion.fuse import fuse
from storage.arrays import TILE, BlockWriter
from tasks.label.arrays import decode_fields
from tasks.label.fuse import DEPTH_BITS, encode_labels, fusion_settings
from tasks.label.ranges import with_bits
from tasks.label.settings import Fuse

ROUNDS = 5


@dataclass(frozen=True)
class Encoding:
    """How values (..., C) or (...) become integers or halves, and back; planes put each channel of a chunk by itself."""

    name: str
    encode: Callable[[NDArray], NDArray]
    decode: Callable[[NDArray], NDArray]
    shuffle: int = Blosc.SHUFFLE
    planes: bool = False

    def pack(self, values: NDArray) -> list[bytes]:
        """The compressed chunks of an array."""
        stored = self.encode(values)
        codec = Blosc("zstd", 1, self.shuffle)
        return [codec.encode(np.ascontiguousarray(np.moveaxis(one, -1, 0) if self.planes else one)) for one in chunks(stored)]

    def unpack(self, packed: list[bytes], stored: NDArray) -> None:
        """Values of all chunks, put where they belong in ``stored`` float32."""
        codec, kind = Blosc("zstd", 1, self.shuffle), self.encode(stored[:1, :1]).dtype
        for data, place in zip(packed, chunks(stored), strict=True):
            shape = np.moveaxis(place, -1, 0).shape if self.planes else place.shape
            found = np.frombuffer(codec.decode(data), kind).reshape(shape)
            place[...] = self.decode(np.moveaxis(found, 0, -1) if self.planes else found)


def chunks(array: NDArray) -> Iterator[NDArray]:
    """The parts of an array that a store compresses each by itself: tiles of the first two axes."""
    for row in range(0, array.shape[0], TILE):
        for column in range(0, array.shape[1], TILE):
            yield array[row : row + TILE, column : column + TILE]


def halves(values: NDArray) -> NDArray:
    """As float16."""
    return values.astype(np.float16)


def rounded(values: NDArray) -> NDArray:
    """As float16 whose last bits are zero, to the nearest that is left."""
    return with_bits(values, DEPTH_BITS).astype(np.float16)  # from float32 at once: a second rounding would add its own error


def scaled(steps: int, dtype: type) -> tuple[Callable[[NDArray], NDArray], Callable[[NDArray], NDArray]]:
    """Integers with a CF ``scale_factor`` of 1 / steps, and back."""
    return lambda values: np.rint(values * np.float32(steps)).astype(dtype), lambda stored: stored * np.float32(1 / steps)


def as_float(stored: NDArray) -> NDArray:
    """float32 again."""
    return stored.astype(np.float32)


BITS = Blosc.BITSHUFFLE
DEPTH = [
    Encoding("float16, shuffle", halves, as_float),
    Encoding("float16, bitshuffle", halves, as_float, BITS),
    Encoding(f"float16 of {DEPTH_BITS} bits, shuffle", rounded, as_float),
    Encoding(f"float16 of {DEPTH_BITS} bits, bitshuffle", rounded, as_float, BITS),
]
NORMALS = [
    Encoding("float16, shuffle", halves, as_float),
    Encoding("float16, planes, shuffle", halves, as_float, planes=True),
    Encoding("int8 / 127, shuffle", *scaled(127, np.int8)),
    Encoding("int8 / 127, planes, shuffle", *scaled(127, np.int8), planes=True),
    Encoding("int8 / 127, planes, bitshuffle", *scaled(127, np.int8), BITS, planes=True),
    Encoding("int16 / 511, planes, bitshuffle", *scaled(511, np.int16), BITS, planes=True),
    Encoding("int16 / 2047, planes, bitshuffle", *scaled(2047, np.int16), BITS, planes=True),
]
TODAY = {"depth of the views": 0, "normals of the views": 1, "fused depth": 0, "fused normals": 3}


def labels(folder: Path) -> tuple[dict[str, NDArray], dict[str, NDArray]]:
    """Distances (N, h, w) and normals (N, h, w, 3) of the views, float32; and all fused labels of the panorama (H, W[, 3])."""
    said = torch.load(folder / "said.pt")
    arrays = label(Clock(), folder, said, str(folder), 0)
    fields = decode_fields(arrays, json.loads((folder / "about.json").read_text()))
    settings = fusion_settings(Fuse(height=HEIGHT, depth="blend", depth_edge=0.3), said["classes"])
    fused = fuse(fields, CAMERAS, HEIGHT, 2 * HEIGHT, settings)
    return {name: fields[name].values for name in ("depth", "normals")}, fused


def stored(fused: dict[str, NDArray], storage: Literal["exact", "compact"]) -> tuple[dict[str, int], float]:
    """Bytes of each array of fused labels as a store has them, and the least processor milliseconds to encode and write all."""
    spent = []
    for _ in range(ROUNDS):
        files: dict[str, Buffer] = {}
        start = time.process_time()
        writer = BlockWriter("memory", 1, MemoryStore(files))
        writer.append(encode_labels(fused, Fuse(storage=storage)))
        writer.close()
        spent.append(1e3 * (time.process_time() - start))
    sizes = Counter[str]()
    for name, data in files.items():
        sizes[name.split("/")[0]] += len(data)
    return dict(sizes), min(spent)


def print_stored(fused: dict[str, NDArray]) -> None:
    """All arrays of fused labels, exact and compact."""
    (exact, slow), (compact, fast) = stored(fused, "exact"), stored(fused, "compact")
    print("\nFused labels as `fuse.storage` has them, MB:\n\n| array | exact | compact |\n|---|---|---|")
    for name in sorted(fused):
        print(f"| {name} | {exact[name] / 1e6:.2f} | {compact[name] / 1e6:.2f} |")
    print(f"| all | {sum(exact.values()) / 1e6:.2f} | {sum(compact.values()) / 1e6:.2f} |")
    print(f"| encode and write, CPU ms | {slow:.0f} | {fast:.0f} |")


def measure(values: NDArray, encoding: Encoding) -> tuple[float, float, float, str]:
    """Megabytes, milliseconds to encode and to decode, and the mean and the largest error in words."""
    spent: list[tuple[float, float]] = []
    back = np.empty(values.shape, np.float32)
    for _ in range(ROUNDS):
        start = time.process_time()
        packed = encoding.pack(values)
        middle = time.process_time()
        encoding.unpack(packed, back)
        spent.append((1e3 * (middle - start), 1e3 * (time.process_time() - middle)))
    encode, decode = (median(one) for one in zip(*spent))
    return sum(map(len, packed)) / 1e6, encode, decode, error(values, back)


def error(values: NDArray, back: NDArray) -> str:
    """Of distances in percent, of directions in degrees."""
    there = norms(values)[..., 0] > 0.5 if values.shape[-1] == 3 else values > 0
    one, other = values[there].astype(np.float64), back[there].astype(np.float64)
    if values.shape[-1] == 3:
        chord = np.linalg.norm(one / norms(one) - other / norms(other), axis=-1)
        found, unit = np.degrees(2 * np.arcsin(np.clip(chord / 2, 0, 1))), "deg"
    else:
        found, unit = 100 * np.abs(other / one - 1), "%"
    return f"{found.mean():.3f} | {found.max():.3f} {unit}"


def norms(vectors: NDArray) -> NDArray:
    """Their lengths, of vectors (..., 3) as (..., 1)."""
    return np.linalg.norm(vectors, axis=-1, keepdims=True)


def main() -> None:
    """Measure and print."""
    blosc.set_nthreads(1)
    with tempfile.TemporaryDirectory() as folder:
        what, (views, fused) = prepare(Path(folder)), labels(Path(folder))
    found = {f"{name} of the views": values for name, values in views.items()}
    found |= {f"fused {name}": fused[name] for name in views}
    print(
        f"# Encodings of distances and normals\n\n{what}; the stores' chunks, Blosc with zstd 1, one thread; median of {ROUNDS} "
        "rounds, conversions included. *Today* is in bold.\n\n"
        "| array | encoding | MB | encode, CPU ms | decode, CPU ms | error, mean | largest |\n|---|---|---|---|---|---|---|"
    )
    for name, values in found.items():
        for number, encoding in enumerate(NORMALS if "normals" in name else DEPTH):
            size, encode, decode, wrong = measure(values, encoding)
            shown = f"**{encoding.name}**" if number == TODAY[name] else encoding.name
            print(f"| {name} | {shown} | {size:.2f} | {encode:.0f} | {decode:.0f} | {wrong} |", flush=True)
    print_stored(fused)
    print(
        f"\n{machine()}; load average of the last 5 minutes {os.getloadavg()[1]:.1f}. {date.today()}, Python "
        f"{platform.python_version()}, numpy {np.__version__}.\n"
        "Command: `python -m benchmarks.labels.encodings > benchmarks/results/labels/encodings.md`"
    )


if __name__ == "__main__":
    main()
