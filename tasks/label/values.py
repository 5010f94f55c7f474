"""Stored ERP labels as values in their units: what whoever reads them sees, one array at a time.

Where a value is not valid it is NaN, so that no mask need be at hand; classes, ids and masks stay what they are.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geometry.instances.masks import SphericalMask, decode_mask
from tasks.label.fuse import decode_labels
from tasks.label.instances import TABLE, whole_masks, without_room

VALID_BY = {"depth": "depth_valid", "normals": "normals_valid", "points": "depth_valid"}
"""Arrays that are numbers of their own -> the mask of where they mean something."""
SHARES = ("_consistency", "_confidence", "_agreement")
"""How the names of arrays end that hold shares of 1 in 255 steps."""
INSTANCES = ("instances", *(f"instance_{name}" for name in TABLE), "instance_offsets", "instance_runs")
"""All that is stored of instances; rows without an instance go only by all of it."""


def needed(name: str, stored: Collection[str]) -> tuple[str, ...]:
    """The stored arrays by which :func:`value` tells one."""
    if name in INSTANCES[1:]:
        return INSTANCES[1:]
    mask = VALID_BY.get(name, "")
    return (name, mask) if mask in stored else (name,)


def value(name: str, arrays: Mapping[str, NDArray]) -> NDArray:
    """One array of a panorama's labels as values.

    Parameters
    ----------
    name : str
    arrays : those that :func:`needed` names, as they are stored

    Returns
    -------
    array
        ``depth`` (H, W) float32, ``normals`` (H, W, 3) float32 of length 1 and ``points`` (H, W, 3) float32, NaN where they are
        not valid; consistencies (H, W) float32 in (0, 1], NaN where fewer than two had a say; confidences and agreements (H, W)
        float32 in [0, 1]; other float16 as float32; rows of instances without those that are none; all else as stored.
    """
    if name in INSTANCES[1:]:
        return without_room(arrays)[name]
    stored = arrays[name]
    if stored.dtype == np.uint8 and name.endswith(SHARES):
        share = stored.astype(np.float32) / np.float32(255)
        return np.where(stored > 0, share, np.float32(np.nan)) if name.endswith("_consistency") else share
    if not np.issubdtype(stored.dtype, np.floating) and name not in VALID_BY:
        return stored
    found = decode_labels({name: stored})[name].astype(np.float32)
    valid = arrays.get(VALID_BY.get(name, ""))
    if valid is None:
        return found
    return np.where(valid if found.ndim == 2 else valid[..., None], found, np.float32(np.nan))


def values_of(arrays: Mapping[str, NDArray], _about: Mapping[str, Any]) -> dict[str, NDArray]:
    """All arrays of a panorama's labels, (H, W[, C]) and rows of instances, as :func:`value` tells each."""
    return {name: value(name, arrays) for name in arrays}


@dataclass(frozen=True, eq=False)
class Instance:
    """One object of a panorama.

    Attributes
    ----------
    id : its number in the map of ids, from 1 on; the largest object is 1
    name : name of its class; empty if the vocabulary is not known
    label : index of its class
    score : mean of the scores of its masks, in [0, 1]
    agreement : its share of the views' votes at its pixels, in [0, 1]
    area : solid angle in steradians
    direction : (3,) float32, unit vector to its centre, world frame
    over_seam, over_pole : whether it crosses the +-180 degree seam, or covers a pole
    views : (N,) bool, which of the views gave it a mask
    runs : its whole mask as run lengths, what others hide of it included
    """

    id: int
    name: str
    label: int
    score: float
    agreement: float
    area: float
    direction: NDArray[np.float32]
    over_seam: bool
    over_pole: bool
    views: NDArray[np.bool_]
    runs: SphericalMask

    @property
    def mask(self) -> NDArray[np.bool_]:
        """The whole mask (H, W) bool, what other instances hide of it included."""
        return decode_mask(self.runs)


def instances_of(arrays: Mapping[str, NDArray], classes: Sequence[str]) -> tuple[Instance, ...]:
    """The instances of a panorama, the largest first.

    Parameters
    ----------
    arrays : those of :data:`INSTANCES`, as they are stored
    classes : the vocabulary, as the receipt has it
    """
    labels = without_room(arrays)
    table = {name: labels[f"instance_{name}"] for name in TABLE}
    return tuple(
        Instance(
            id=row + 1,
            name=classes[label] if label < len(classes) else "",
            label=label,
            score=float(table["score"][row]),
            agreement=float(table["agreement"][row]),
            area=float(table["area"][row]),
            direction=table["direction"][row].astype(np.float32),
            over_seam=bool(table["seam"][row]),
            over_pole=bool(table["pole"][row]),
            views=table["views"][row].astype(bool),
            runs=mask,
        )
        for row, (label, mask) in enumerate(zip(table["class"].tolist(), whole_masks(labels), strict=True))
    )
