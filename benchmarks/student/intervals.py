"""Bootstrap over seeds and scenes at once, the same draw for all arms, so that differences are paired."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metrics.semantics import class_ious
from scenes.vocabulary import CLASSES

Array = NDArray[np.floating]
FIGURES = ("AbsRel", "normals, degrees", "mIoU")
RESAMPLES = 2000
LEVEL = 0.95


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
    def shape(self) -> tuple[int, int]:
        """Seeds and scenes."""
        found = next(iter(self.errors.values())) if self.errors else self.confusions
        assert found is not None
        return found.shape[0], found.shape[1]

    def means(self, seeds: Array | None = None, scenes: Array | None = None) -> dict[str, float]:
        """The figures; ``seeds`` (S,) and ``scenes`` (N,) say how often each counts.

        Errors are means over scenes and seeds; mIoU pools the pixels of all scenes, over the classes that occur, seed by seed.
        """
        size = self.shape
        seeds = np.ones(size[0]) if seeds is None else seeds
        scenes = np.ones(size[1]) if scenes is None else scenes
        found = {name: float(seeds @ values @ scenes / seeds.sum() / scenes.sum()) for name, values in self.errors.items()}
        if self.confusions is not None:
            pooled = np.einsum("snij,n->sij", self.confusions, scenes)
            found["mIoU"] = float(np.average([_miou(matrix) for matrix in pooled], weights=seeds))
        return found


def _matrix(entries: Sequence[tuple[int, int, float]]) -> Array:
    matrix = np.zeros((len(CLASSES), len(CLASSES) + 1))
    for true, said, weight in entries:
        matrix[true, said] = weight
    return matrix


def _miou(matrix: Array) -> float:
    return float(np.mean([iou for iou in class_ious(matrix) if iou is not None]))


Measure = Callable[[Array, Array], float]
"""Counts of seeds (S,) and of scenes (N,) -> a figure."""


def interval(measure: Measure, shape: tuple[int, int], resamples: int = RESAMPLES, seed: int = 0) -> tuple[float, float, float]:
    """The figure, and the ends of its 95 % percentile interval when seeds and scenes are drawn anew, both with replacement."""
    generator = np.random.default_rng(seed)
    drawn = []
    for _ in range(resamples):
        counts = [np.bincount(generator.integers(size, size=size), minlength=size).astype(np.float64) for size in shape]
        drawn.append(measure(*counts))
    tails = 100 * (1 - LEVEL) / 2
    low, high = np.percentile(drawn, [tails, 100 - tails])
    return measure(*(np.ones(size) for size in shape)), float(low), float(high)


def worse_by(ours: Table, reference: Table, name: str) -> Measure:
    """By what share of the reference's figure ours is worse: the same seeds and scenes of both."""
    sign = -1 if name == "mIoU" else 1

    def measure(seeds: Array, scenes: Array) -> float:
        return sign * (ours.means(seeds, scenes)[name] / reference.means(seeds, scenes)[name] - 1)

    return measure


def value_of(table: Table, name: str) -> Measure:
    """A figure itself."""
    return lambda seeds, scenes: table.means(seeds, scenes)[name]
