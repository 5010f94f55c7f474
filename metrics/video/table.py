"""Figures of clips in one tidy table, and how far two methods differ over the same clips.

A row is (clip, split, method, input, metric, value, strata, run), and no two are alike but for their value: a run that is made
again replaces rows, it does not count twice.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from metrics.intervals import column_means, jackknife_intervals


@dataclass(frozen=True)
class Row:
    """One value. ``input`` is what the method was given, ``strata`` JSON of what the value is restricted to, ``{}`` if nothing,
    ``run`` what made it: a fingerprint, or a seed."""

    clip: str
    split: str
    method: str
    input: str
    metric: str
    value: float
    strata: str
    run: str

    @property
    def key(self) -> tuple[str, ...]:
        """All but the value."""
        return self.clip, self.split, self.method, self.input, self.metric, self.strata, self.run


@dataclass(frozen=True)
class Difference:
    """Mean of the second method less the first over ``clips`` that have both values, the ends of its interval, NaN for fewer than
    two clips, and the number of ``unpaired`` clips: those with one of the values alone, or a value that is NaN."""

    mean: float
    low: float
    high: float
    clips: int
    unpaired: int


def rows(
    figures: Mapping[str, float],
    clip: str,
    split: str,
    method: str,
    input: str,
    run: str,
    strata: Mapping[str, str] | None = None,
) -> list[Row]:
    """A row for each of the figures, NaN too: what could not be judged is no gap. ``strata``: name -> value, in any order."""
    told = json.dumps(dict(strata or {}), sort_keys=True)
    return [Row(clip, split, method, input, metric, float(value), told, run) for metric, value in figures.items()]


def table(parts: Iterable[Row]) -> list[Row]:
    """All rows, in the order of their keys.

    Raises
    ------
    ValueError
        Two rows are alike in all but the value.
    """
    ordered = sorted(parts, key=lambda row: row.key)
    for one, other in pairwise(ordered):
        if one.key == other.key:
            raise ValueError(f"two values of {one.metric} of clip {one.clip!r}, method {one.method!r}, run {one.run!r}: keep one")
    return ordered


def paired_difference(
    values: Iterable[Row], metric: str, first: str, second: str, strata: Mapping[str, str] | None = None, level: float = 0.95
) -> Difference:
    """How much more ``second`` has of a metric than ``first``, over the clips that both were measured on with the same input.

    Several runs on a clip are one value, their mean: seeds tell nothing of other clips. The interval is the jackknife's over
    clips, which for a mean of differences is the paired t interval: a percentile bootstrap is too narrow for few clips, see
    :mod:`metrics.intervals`. Clips count as independent; of many from one video, give the videos' means.
    """
    told = json.dumps(dict(strata or {}), sort_keys=True)
    found: dict[tuple[str, str, str], dict[str, list[float]]] = defaultdict(lambda: {first: [], second: []})
    for row in values:
        if row.metric == metric and row.strata == told and row.method in (first, second):
            found[row.clip, row.split, row.input][row.method].append(row.value)
    # A mean over runs that holds a NaN is one: a run that could not be judged does not make a method better.
    pairs = np.array([[np.mean(one[name]) if one[name] else np.nan for name in (first, second)] for one in found.values()])
    differences = (pairs.reshape(-1, 2) @ [-1.0, 1.0])[:, None]
    both = differences[np.isfinite(differences[:, 0])]
    if not len(both):
        return Difference(float("nan"), float("nan"), float("nan"), 0, len(differences))
    low, high = jackknife_intervals(*column_means(both), level)
    return Difference(float(both.mean()), float(low[0]), float(high[0]), len(both), len(differences) - len(both))
