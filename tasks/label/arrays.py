"""A teacher's fields as arrays of the store, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geometry.fields import Field
from tasks.label.ranges import stored_confidence, stored_distances, stored_finite, view_factors

STORED = {
    "normals": np.float16,
    "semantics": np.uint16,
    "sky": np.float16,
    "instances": np.uint16,
}


def encode_fields(fields: Mapping[str, Field]) -> dict[str, NDArray]:
    """Fields as arrays for the store: float16 values, confidence in 255 steps.

    Distances are stored as shares of ``depth_factor`` (N,) float32, a power of two for each view: a scale of its own may be any
    number. Inverse distances keep float32, for they pass through zero.
    """
    arrays: dict[str, NDArray] = {}
    for name, field in fields.items():
        if name == "depth" and field.unit != "inverse":
            factor = view_factors(field.values, field.valid)
            shares, valid = stored_distances(field.values / factor[:, None, None], field.valid, np.float16)
            arrays |= {name: shares, f"{name}_valid": valid, f"{name}_factor": factor}
        else:
            values = field.values.astype(np.float32 if field.unit == "inverse" else STORED[name])
            arrays[name], arrays[f"{name}_valid"] = stored_finite(values, field.valid)
        if field.confidence is not None:
            arrays[f"{name}_confidence"] = stored_confidence(field.confidence)
        arrays.update({f"{name}_{table}": values for table, values in field.tables.items()})
    return arrays


def decode_fields(arrays: Mapping[str, NDArray], about: Mapping[str, Any]) -> dict[str, Field]:
    """The fields (N, h, w[, C]), float32 again, that :func:`encode_fields` stored; ``about`` comes from the block's receipt."""
    fields = {}
    for name, tags in about["fields"].items():
        confidence = arrays.get(f"{name}_confidence")
        values = arrays[name] if name in ("semantics", "instances") else arrays[name].astype(np.float32)
        if (factor := arrays.get(f"{name}_factor")) is not None:
            values = values * factor[:, None, None]
        fields[name] = Field(
            name,
            values,
            arrays[f"{name}_valid"],
            tags["unit"],
            tags["frame"],
            None if confidence is None else confidence.astype(np.float32) / np.float32(255),
            {table: arrays[f"{name}_{table}"] for table in ("segment_class", "segment_score") if f"{name}_{table}" in arrays},
        )
    return fields


def values_of(arrays: Mapping[str, NDArray], about: Mapping[str, Any]) -> dict[str, NDArray]:
    """What is stored of a panorama's views as values: numbers (N, h, w[, C]) float32, NaN where not valid; all else as stored."""
    found = {name: array for name, array in arrays.items() if not name.endswith("_factor")}
    for name, field in decode_fields(arrays, about).items():
        number = np.issubdtype(field.values.dtype, np.floating)
        valid = field.valid if field.values.ndim == field.valid.ndim else field.valid[..., None]
        found[name] = np.where(valid, field.values, np.float32(np.nan)) if number else field.values
    return found
