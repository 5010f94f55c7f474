"""PLY, binary and little-endian: a table of vertices, and triangles of them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

NAMES = {"<f4": "float", "|u1": "uchar"}
FACE = np.dtype([("corners", "u1"), ("vertex_indices", "<i4", 3)])


def ply(columns: Mapping[str, NDArray], triangles: NDArray[np.int32] | None = None) -> bytes:
    """A file with a vertex for each row of the columns (N,), float32 or uint8, in their order, and with ``triangles`` (M, 3)."""
    first = next(iter(columns.values()))
    kinds = {name: column.dtype.newbyteorder("<").str for name, column in columns.items()}
    rows = np.empty(len(first), list(kinds.items()))
    for name, column in columns.items():
        rows[name] = column
    head = ["ply", "format binary_little_endian 1.0", f"element vertex {len(rows)}"]
    head += [f"property {NAMES[kind]} {name}" for name, kind in kinds.items()]
    body = rows.tobytes()
    if triangles is not None:
        head += [f"element face {len(triangles)}", "property list uchar int vertex_indices"]
        faces = np.empty(len(triangles), FACE)
        faces["corners"], faces["vertex_indices"] = 3, triangles
        body += faces.tobytes()
    return "\n".join([*head, "end_header", ""]).encode() + body


def columns_of(vectors: NDArray, names: str | tuple[str, str, str]) -> dict[str, NDArray]:
    """The columns of vectors (N, 3), by their names."""
    return {name: vectors[:, number] for number, name in enumerate(names)}
