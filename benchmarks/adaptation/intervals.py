"""Figures of arms from each seed, and differences between arms with intervals over seeds, which both sides share."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from benchmarks.adaptation.records import Record
from benchmarks.comparisons import Compared, over_seeds
from metrics.seamless.suite import merged
from tasks.seamless.vocabularies import THINGS

Floats = NDArray[np.floating]
FIGURES = ("mIoU", "mPQ", "mAPQ", "mAP", "mAAP", "mAAP_seam")


def figures_of(records: Mapping[int, Record]) -> dict[int, Floats]:
    """Figures (F,) of each seed's record over all its panoramas; NaN where nothing can be said."""
    return {seed: _figures(record) for seed, record in records.items()}


def _figures(record: Record) -> Floats:
    figures = merged(record.counts).figures(THINGS)
    return np.array([np.nan if figures[name] is None else figures[name] for name in FIGURES], np.float64)


def differences(one: Mapping[int, Floats], other: Mapping[int, Floats]) -> list[Compared]:
    """By how much an arm lies above another, of each figure; only seeds that both have count."""
    seeds = sorted(one.keys() & other.keys())
    table = np.array([one[seed] - other[seed] for seed in seeds]).reshape(len(seeds), len(FIGURES))
    return [over_seeds(column) for column in table.T]
