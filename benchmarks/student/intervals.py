"""Bootstrap over seeds and scenes at once, the same draw for all arms, so that differences are paired."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

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

    @property
    def names(self) -> tuple[str, ...]:
        """The figures that the arm has."""
        return (*self.errors, *(("mIoU",) if self.confusions is not None else ()))

    def figure(self, name: str, seeds: Array, scenes: Array) -> Array:
        """One figure (R,) of R draws; ``seeds`` (R, S) and ``scenes`` (R, N) say how often each counts.

        Errors are means over scenes and seeds; mIoU pools the pixels of all scenes, over the classes that occur, seed by seed.
        """
        shares = seeds / seeds.sum(axis=1, keepdims=True)
        if name in self.errors:
            return np.einsum("rs,sn,rn->r", shares, self.errors[name], scenes / scenes.sum(axis=1, keepdims=True), optimize=True)
        assert self.confusions is not None
        ious = [_miou(np.tensordot(scenes, matrices, 1)) for matrices in self.confusions]
        return np.sum(shares * np.stack(ious, axis=1), axis=1)

    def means(self) -> dict[str, float]:
        """All figures, with every seed and scene once."""
        once = [np.ones((1, size)) for size in self.shape]
        return {name: float(self.figure(name, *once)[0]) for name in self.names}


def _matrix(entries: Sequence[tuple[int, int, float]]) -> Array:
    matrix = np.zeros((len(CLASSES), len(CLASSES) + 1))
    for true, said, weight in entries:
        matrix[true, said] = weight
    return matrix


def _miou(matrices: Array) -> Array:
    """(R,) of confusions (R, C, C + 1): as :func:`metrics.semantics.semantic_figures`, for many draws at once."""
    hit, true = np.diagonal(matrices, axis1=1, axis2=2), matrices.sum(axis=2)
    union = true + matrices[:, :, :-1].sum(axis=1) - hit
    return np.nanmean(np.where(true > 0, hit / np.maximum(union, 1e-12), np.nan), axis=1)


Measure = Callable[[Array, Array], Array]
"""Counts of seeds (R, S) and of scenes (R, N) -> a figure (R,) of each draw."""


def interval(measure: Measure, shape: tuple[int, int], resamples: int = RESAMPLES, seed: int = 0) -> tuple[float, float, float]:
    """The figure, and the ends of its 95 % percentile interval when seeds and scenes are drawn anew, both with replacement."""
    generator = np.random.default_rng(seed)
    counts = [generator.multinomial(size, np.full(size, 1 / size), resamples).astype(np.float64) for size in shape]
    tails = 100 * (1 - LEVEL) / 2
    low, high = np.percentile(measure(*counts), [tails, 100 - tails])
    return float(measure(*(np.ones((1, size)) for size in shape))[0]), float(low), float(high)


def worse_by(ours: Table, reference: Table, name: str) -> Measure:
    """By what share of the reference's figure ours is worse: the same seeds and scenes of both."""
    sign = -1 if name == "mIoU" else 1

    def measure(seeds: Array, scenes: Array) -> Array:
        return sign * (ours.figure(name, seeds, scenes) / reference.figure(name, seeds, scenes) - 1)

    return measure


def value_of(table: Table, name: str) -> Measure:
    """A figure itself."""
    return lambda seeds, scenes: table.figure(name, seeds, scenes)
