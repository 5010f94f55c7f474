"""Figures of arms with paired bootstrap intervals: seeds and test panoramas are both drawn again, the same ones for every arm.

What a draw of panoramas takes n times counts n times, in the sums and in the detections.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from benchmarks.adaptation.records import Record
from metrics.seamless.average_precision import DetectionCounts, joined
from metrics.seamless.quality import QualityCounts
from metrics.seamless.suite import SuiteCounts
from tasks.seamless_data.vocabularies import THINGS

Floats = NDArray[np.floating]
FIGURES = ("mIoU", "mPQ", "mAPQ", "mAP", "mAAP", "mAAP_seam")
QUALITIES, DETECTIONS = ("panoptic", "amodal_panoptic"), ("instances", "amodals", "seam")


def draws(count: int, resamples: int, generator: np.random.Generator) -> NDArray[np.int64]:
    """How often each of ``count`` is drawn, (1 + resamples, count): first each once, then with replacement."""
    again = [np.bincount(generator.integers(count, size=count), minlength=count) for _ in range(resamples)]
    return np.stack([np.ones(count, np.int64), *again])


def weighted_figures(counts: Sequence[SuiteCounts], weights: NDArray[np.int64]) -> Floats:
    """Figures (D, F) of panoramas (N) that count as often as ``weights`` (D, N) say; NaN where nothing can be said."""
    tables = [np.stack([np.stack(list(vars(getattr(one, name)).values())) for one in counts]) for name in QUALITIES]
    confusions = np.stack([one.semantic for one in counts])
    rows = []
    for weight in weights:
        panoptic, amodal = (QualityCounts(*np.tensordot(weight, table, 1)) for table in tables)
        detections = (_weighted([getattr(one, name) for one in counts], weight) for name in DETECTIONS)
        figures = SuiteCounts(np.tensordot(weight, confusions, 1), panoptic, amodal, *detections).figures(THINGS)
        rows.append([np.nan if figures[name] is None else figures[name] for name in FIGURES])
    return np.array(rows, np.float64)


def _weighted(parts: Sequence[DetectionCounts], weight: NDArray[np.int64]) -> DetectionCounts:
    # The counts are stored in int8, which many draws of one panorama would overflow.
    return joined(
        [
            replace(one, hits=one.hits * times, misses=one.misses * times, truths=one.truths * times)
            for one, times in zip(parts, weight.astype(np.int64), strict=True)
            if times
        ]
    )


def figures_of(records: Mapping[int, Record], resamples: int) -> dict[int, Floats]:
    """Figures (1 + resamples, F) of each seed's record; the panoramas drawn are the same for every record of as many."""
    tables = {}
    for seed, record in records.items():
        weights = draws(len(record.counts), resamples, np.random.default_rng(0))
        tables[seed] = weighted_figures(record.counts, weights)
    return tables


def difference(one: Mapping[int, Floats], other: Mapping[int, Floats] | None = None) -> Floats:
    """Mean over seeds of an arm's figures, or of their differences from another arm's, low and high end: (3, F).

    Only seeds that both have count. NaN where there is none, or where a figure is undefined.
    """
    seeds = sorted(one if other is None else one.keys() & other.keys())
    if not seeds:
        return np.full((3, len(FIGURES)), np.nan)
    tables = np.stack([one[seed] if other is None else one[seed] - other[seed] for seed in seeds])
    weights = draws(len(seeds), tables.shape[1] - 1, np.random.default_rng(1)) / len(seeds)
    means = np.einsum("ds,sdf->df", weights, np.nan_to_num(tables))
    # A figure that a seed lacks makes the mean of that draw unknown.
    means[np.einsum("ds,sdf->df", weights, np.isnan(tables).astype(float)) > 0] = np.nan
    ends = [[_percentile(column, share) for column in means[1:].T] for share in (2.5, 97.5)]
    return np.stack([means[0], *np.array(ends)])


def _percentile(values: Floats, share: float) -> float:
    known = values[np.isfinite(values)]
    return float(np.percentile(known, share)) if len(known) else np.nan
