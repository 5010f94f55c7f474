"""Auxiliary labels in the store: float16, with their units in the receipt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geometry.surfaces.auxiliaries import AUXILIARIES, EDGE_LIMIT


def about_auxiliaries(names: Sequence[str], depth_unit: str) -> dict[str, Any]:
    """What a receipt says of the auxiliary labels in its block; nothing if there are none."""
    known = {
        "points": {"unit": depth_unit, "frame": "world"},
        "image_gradient": {"unit": "luma (0 to 1) per radian", "frame": "right and down in the pixel's tangent plane"},
        "edge_distance": {"unit": "radian", "limit": EDGE_LIMIT},
    }
    return {"auxiliaries": {name: known[name] for name in AUXILIARIES if name in names}} if names else {}


def encode_auxiliaries(labels: Mapping[str, NDArray]) -> dict[str, NDArray]:
    """The labels with auxiliary ones, (H, W[, C]), as float16, which rounds by 0.05 % at most.

    Points beyond its range become zero.
    """
    arrays = dict(labels)
    for name in AUXILIARIES:
        if name in arrays:
            with np.errstate(over="ignore"):
                values = arrays[name].astype(np.float16)
            finite = np.isfinite(values).all(axis=-1, keepdims=True) if values.ndim == 3 else np.isfinite(values)
            arrays[name] = np.where(finite, values, np.float16(0))
    return arrays
