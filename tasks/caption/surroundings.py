"""What labels of a few panoramas say of a place: which classes are seen, on which side, and how far away things are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from geometry.directions import erp_area_weights, erp_directions
from geometry.fusion.sky import sky_class

SIDES = ("ahead", "to the right", "behind", "to the left", "above", "below")
_AXES = np.array([[0, 0, 1], [1, 0, 0], [0, 0, -1], [-1, 0, 0], [0, -1, 0], [0, 1, 0]])
"""World frame: x right, y down, z forward."""
LEAST, LEAST_OF_SIDE = 0.01, 0.05
"""Shares of the sphere, and of one of its sixths, from which a class is named."""
NEAREST = 5
"""Percentile of the distances that stands for the nearest: single pixels may be wrong."""


@dataclass(frozen=True)
class Surroundings:
    """Shares of the sphere by class, the largest first; for each side its classes, and the distance in metres from which on
    surfaces lie there; and of all the nearest, the middle and the farthest. Distances are None where none are known.

    ``sky`` is its share of the sphere, None where the classes know none.
    """

    classes: Mapping[str, float]
    sides: Mapping[str, tuple[str, ...]]
    nearest: Mapping[str, float | None]
    distances: tuple[float, float, float] | None
    sky: float | None


def surroundings(labels: Sequence[Mapping[str, NDArray]], classes: Sequence[str], metric: bool) -> Surroundings:
    """What the labels of panoramas of one place say together.

    Parameters
    ----------
    labels : for each panorama its arrays
        ``semantics`` (H, W) integer, ``semantics_valid`` (H, W) bool, and if there are distances ``depth`` (H, W), radial, and
        ``depth_valid`` (H, W) bool.
    classes : the vocabulary
    metric : whether distances are metres; others say nothing
    """
    area = np.zeros((len(SIDES), len(classes)))
    depths: list[list[NDArray]] = [[] for _ in SIDES]
    for one in labels:
        height, width = one["semantics"].shape
        side, weights = _sides(height), np.broadcast_to(erp_area_weights(height)[:, None], (height, width))
        seen = one["semantics_valid"] & (one["semantics"] < len(classes))
        place = side[seen].astype(np.intp) * len(classes) + one["semantics"][seen]
        area += np.bincount(place, weights[seen], area.size).reshape(area.shape)
        if metric and "depth" in one:
            known = one["depth_valid"] & (one["depth"] > 0)
            own, where = one["depth"][known].astype(np.float32), _sides(len(known))[known]
            for number in range(len(SIDES)):
                depths[number].append(own[where == number])
    shares = area.sum(axis=0) / max(area.sum(), 1e-9)
    sky = sky_class(classes)
    joined = [np.concatenate(own) if own else np.zeros(0, np.float32) for own in depths]
    near = {name: float(np.percentile(own, NEAREST)) if len(own) else None for name, own in zip(SIDES, joined, strict=True)}
    everywhere = np.concatenate(joined)
    spread = np.percentile(everywhere, [NEAREST, 50, 100 - NEAREST]).tolist() if len(everywhere) else None
    return Surroundings(
        _largest(shares, classes, LEAST),
        {
            name: tuple(_largest(own / max(own.sum(), 1e-9), classes, LEAST_OF_SIDE))
            for name, own in zip(SIDES, area, strict=True)
        },
        near,
        None if spread is None else (spread[0], spread[1], spread[2]),
        None if sky is None else float(shares[sky]),
    )


def _largest(shares: NDArray[np.float64], classes: Sequence[str], least: float) -> dict[str, float]:
    order = sorted((number for number in range(len(classes)) if shares[number] >= least), key=lambda number: -shares[number])
    return {plain_name(classes[number]): float(shares[number]) for number in order}


def plain_name(name: str) -> str:
    """The first of the synonyms of a class, as a word in a sentence."""
    return name.replace(";", ",").split(",")[0].replace("_", " ").strip().lower()


@lru_cache(maxsize=4)
def _sides(height: int) -> NDArray[np.int8]:
    """(H, W) number of the side on which each pixel lies: the one whose axis is nearest."""
    return np.argmax(erp_directions(height, 2 * height, np.float32) @ _AXES.T.astype(np.float32), axis=-1).astype(np.int8)
