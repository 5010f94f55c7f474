"""Splits of an ERP image: which band every pixel belongs to, by direction, distance, class and nearness to an edge."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from geometry.directions import erp_angles, erp_directions
from geometry.fusion.sightings import nearest_axis
from geometry.spheres import View
from metrics.weights import LATITUDE_BANDS

Mask = NDArray[np.bool_]
OFF_AXIS = (0.0, 15.0, 30.0, 45.0, 60.0, 90.0)
"""Degrees between a direction and the optical axis of a view."""
EDGE_DISTANCE = (0.0, 0.5, 1.0, 2.0, 5.0)
"""Degrees to the nearest depth or label edge; the last band has no end."""
DEPTH = (0.0, 1.0, 2.0, 4.0, 8.0, 16.0)
"""Metres; the last band has no end."""
DEPTH_JUMP = 0.1
"""Difference of log distance between neighbours that makes an edge."""


@dataclass(frozen=True)
class Split:
    """One way to part an ERP image.

    Attributes
    ----------
    name : str
    bands : names of the bands
    index : (H, W) int16
        Number of each pixel's band; -1 for none.
    """

    name: str
    bands: tuple[str, ...]
    index: NDArray[np.int16]

    def sums(self, columns: NDArray[np.floating]) -> NDArray[np.float64]:
        """Sums (bands, C) over the pixels of each band, of C values (C, H * W) at every pixel."""
        numbers = self.index.ravel().astype(np.intp) + 1
        summed = [np.bincount(numbers, column, len(self.bands) + 1)[1:] for column in columns]
        return np.stack(summed, axis=-1).astype(np.float64)


def range_names(edges: Sequence[float], end: bool) -> tuple[str, ...]:
    """Names of the bands between edges, such as ``0.5-1``; without an ``end`` the last one is ``5+``."""
    names = [f"{low:g}-{high:g}" for low, high in pairwise(edges)]
    return tuple(names if end else [*names, f"{edges[-1]:g}+"])


def split_bands(classes: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Names of all splits and of their bands, for a vocabulary."""
    return {
        "all": ("all",),
        "latitude": tuple(LATITUDE_BANDS),
        "off_axis": range_names(OFF_AXIS, end=True),
        "edge_distance": range_names(EDGE_DISTANCE, end=False),
        "depth": range_names(DEPTH, end=False),
        "class": tuple(classes),
    }


def splits(
    reference: Mapping[str, NDArray], classes: Sequence[str], cameras: Sequence[View], observed: Mask | None = None
) -> list[Split]:
    """All splits of one panorama, with the bands of :func:`split_bands`.

    Parameters
    ----------
    reference : mapping
        ERP labels that say what is where: the truth, or the fused labels where there is none. Any of ``depth`` and
        ``depth_valid`` (H, W), ``semantics`` and ``semantics_valid`` (H, W).
    classes : the vocabulary of ``semantics``
    cameras : the views; ``off_axis`` is the angle to the axis of the nearest one
    observed : (H, W) bool, what was photographed, of which alone the reference says anything; all by default

    Returns
    -------
    list of Split
        A pixel of which the reference says nothing has no band.
    """
    shape = next(iter(reference.values())).shape[:2]
    nothing = np.full(shape, -1, np.int16)
    latitude = np.degrees(np.abs(erp_angles(*shape)[1]))
    of_row = np.searchsorted([low for low, _ in LATITUDE_BANDS.values()], latitude, side="right") - 1
    indices: dict[str, NDArray] = {
        "all": np.zeros(shape, np.int16),
        "latitude": np.repeat(of_row[:, None], shape[1], axis=1),
        "off_axis": in_ranges(np.degrees(nearest_axis(cameras, *shape)), OFF_AXIS, end=True),
        "edge_distance": nothing,
        "depth": nothing,
        "class": nothing,
    }
    if "depth" in reference or "semantics" in reference:
        away = np.degrees(edge_distance(edges(reference, observed), np.radians(EDGE_DISTANCE[-1])))
        indices["edge_distance"] = in_ranges(away, EDGE_DISTANCE, end=False)
    if "depth" in reference:
        indices["depth"] = np.where(reference["depth_valid"], in_ranges(reference["depth"], DEPTH, end=False), -1)
    if "semantics" in reference:
        named = reference["semantics_valid"] & (reference["semantics"] < len(classes))
        indices["class"] = np.where(named, reference["semantics"], -1)
    return [Split(name, bands, indices[name].astype(np.int16)) for name, bands in split_bands(classes).items()]


def in_ranges(values: NDArray[np.floating], edges: Sequence[float], end: bool) -> NDArray[np.int16]:
    """Number of the range [edge, next edge) of each value; -1 below the first and, with an ``end``, from the last on."""
    number = np.searchsorted(edges, values, side="right") - 1
    return np.where(number >= len(edges) - end, -1, number).astype(np.int16)


def edges(reference: Mapping[str, NDArray], observed: Mask | None = None) -> Mask:
    """ERP pixels (H, W) beside a depth or label edge.

    An edge lies between neighbours (columns wrap) whose distances differ by a factor of more than exp(:data:`DEPTH_JUMP`), of
    which just one has a distance (the sky's outline), or whose classes differ. Both pixels are beside it. The border of what was
    ``observed`` (H, W) is no edge.
    """
    jumps: dict[int, list[Mask]] = {0: [], 1: []}
    for axis in (0, 1):
        if "depth" in reference:
            valid = reference["depth_valid"]
            log = np.log(np.where(valid, reference["depth"], 1))
            after, known = np.roll(log, -1, axis), np.roll(valid, -1, axis)
            jumps[axis].append((valid != known) | (valid & known & (np.abs(after - log) > DEPTH_JUMP)))
        if "semantics" in reference:
            label = np.where(reference["semantics_valid"], reference["semantics"].astype(np.int64), -1)
            jumps[axis].append(np.roll(label, -1, axis) != label)
    down, right = (np.any(jumps[axis], axis=0) for axis in (0, 1))
    if observed is not None:
        down, right = (found & observed & np.roll(observed, -1, axis) for axis, found in enumerate((down, right)))
    down[-1] = False  # rows do not wrap
    return np.asarray(down | np.roll(down, 1, axis=0) | right | np.roll(right, 1, axis=1), bool)


def edge_distance(beside: Mask, farthest: float) -> NDArray[np.float64]:
    """Great-circle angle (H, W) in radians to the nearest pixel of ``beside``; infinite if it is more than ``farthest``."""
    directions = erp_directions(*beside.shape)
    if not beside.any():
        return np.full(beside.shape, np.inf)
    chord, _ = cKDTree(directions[beside]).query(directions.reshape(-1, 3), distance_upper_bound=2 * np.sin(farthest / 2) + 1e-9)
    return (2 * np.arcsin(np.minimum(chord, 2) / 2) + np.where(np.isinf(chord), np.inf, 0)).reshape(beside.shape)
