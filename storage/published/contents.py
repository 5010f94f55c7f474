"""What a publication holds, wherever it is kept: the name of a version, and the group of arrays that is one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.abc.store import Store

from storage.arrays import BlockWriter
from storage.fingerprint import canonical_json, digest

ICECHUNK = ".icechunk"
"""How the URL of a publication ends that is an Icechunk repository."""

LAYOUT = 1  # raise it when the same labels would be laid out otherwise

Row = Mapping[str, str | bool]
"""What is told of one panorama; the same keys for all."""


def version_of(contents: Any) -> str:
    """The version of these contents (JSON values): equal contents have the same one."""
    return digest(canonical_json([LAYOUT, contents]))[:16]


def write_arrays(
    url: str, store: Store, items: Iterable[Mapping[str, NDArray] | None], rows: Sequence[Row], attributes: Mapping[str, Any]
) -> None:
    """Write the group of a version into the root of a store; the same group wherever it is kept. ``url`` is for messages.

    What ``errors`` of the attributes says of an array, by its name, becomes that array's attribute ``error`` too.
    """
    writer = BlockWriter(url, len(rows), store)
    for arrays in items:
        writer.append(arrays)
    writer.close()
    group = zarr.open_group(store, mode="a", zarr_format=3)
    for name in rows[0]:
        values = [row[name] for row in rows]
        dtype: Any = bool if isinstance(values[0], bool) else str
        array = group.create_array(name, shape=(len(rows),), chunks=(len(rows),), dtype=dtype, overwrite=True)
        array[:] = np.array(values, dtype=bool if dtype is bool else np.dtypes.StringDType())
    for name in attributes.get("errors", {}).keys() & group.keys():
        group[name].attrs["error"] = attributes["errors"][name]
    group.attrs.put(dict(attributes))
