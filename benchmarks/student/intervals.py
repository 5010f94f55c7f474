"""Figures of an arm seed by seed, by how much one arm is worse than another, and their intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.comparisons import Compared, over_seeds
from metrics.intervals import column_means, jackknife_intervals
from metrics.semantics import semantic_figures
from scenes.vocabulary import CLASSES

Array = NDArray[np.floating]
FIGURES = ("AbsRel", "normals, degrees", "mIoU")


@dataclass(frozen=True)
class Table:
    """Figures of one arm: ``errors`` by name, each (seeds, scenes), and ``confusions`` (seeds, scenes, classes, classes + 1)."""

    errors: Mapping[str, Array]
    confusions: Array | None

    @classmethod
    def of(cls, runs: Sequence[Mapping[str, Any]]) -> Table:
        """From the JSON of an arm's runs, one a seed, over the same panoramas."""
        scenes = [[run["scenes"][name] for name in sorted(runs[0]["scenes"])] for run in runs]
        known = [name for name in FIGURES[:2] if name in scenes[0][0]]
        errors = {name: np.array([[one[name] for one in row] for row in scenes], np.float64) for name in known}
        matrices = (
            np.array([[_matrix(one["confusion"]) for one in row] for row in scenes]) if "confusion" in scenes[0][0] else None
        )
        return cls(errors, matrices)

    @property
    def names(self) -> tuple[str, ...]:
        """The figures that the arm has."""
        return (*self.errors, *(("mIoU",) if self.confusions is not None else ()))

    def figure(self, name: str) -> Array:
        """One figure (S,) of each seed: errors are means over scenes, mIoU pools all pixels over the classes that occur."""
        if name in self.errors:
            return self.errors[name].mean(axis=1)
        assert self.confusions is not None
        return np.array([_miou(matrices.sum(axis=0)) for matrices in self.confusions])

    def means(self) -> dict[str, float]:
        """All figures, on average over seeds."""
        return {name: float(self.figure(name).mean()) for name in self.names}

    def over_scenes(self, name: str) -> tuple[float, float, float]:
        """A figure of the first seed, or of what has none, and the ends of its interval over scenes."""
        if name in self.errors:
            low, high = jackknife_intervals(*column_means(self.errors[name][0][:, None]))
        else:
            assert self.confusions is not None
            shape = self.confusions.shape[2:]
            matrices = self.confusions[0].reshape(len(self.confusions[0]), -1)
            low, high = jackknife_intervals(matrices, lambda total: np.array([_miou(total.reshape(shape))]))
        return float(self.figure(name)[0]), float(low[0]), float(high[0])


def _matrix(entries: Sequence[tuple[int, int, float]]) -> Array:
    matrix = np.zeros((len(CLASSES), len(CLASSES) + 1))
    for true, said, weight in entries:
        matrix[true, said] = weight
    return matrix


def _miou(matrix: Array) -> float:
    """Of a confusion (C, C + 1): that of :func:`metrics.semantics.semantic_figures`; NaN without any class."""
    miou = semantic_figures(matrix)["miou"]
    return np.nan if miou is None else miou


def worse_by(ours: Table, reference: Table, name: str, against: float = 0) -> Compared:
    """By what share of the reference's figure ours is worse, seeds paired.

    The t is of the logarithms of the seeds' ratios, and its mean and ends are told as shares: a share of the reference's mean
    would take that mean for known. ``chance`` is that of a share as far from ``against``.
    """
    sign = -1 if name == "mIoU" else 1
    ratios = np.log(ours.figure(name) / reference.figure(name))
    found = over_seeds(ratios, np.log1p(sign * against))
    ends = sorted(sign * np.expm1(one) for one in (found.low, found.high))
    return Compared(float(sign * np.expm1(found.mean)), float(ends[0]), float(ends[1]), found.chance)
