"""Whether one way to train is better than another, from a few seeds of each: paired t, and Holm's correction over a table.

The seed is what is drawn, on test scenes that stay the same; what other scenes would give is not in these intervals.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import ttest_1samp

Array = NDArray[np.floating]
LEVEL = 0.95
NUDGE = 1 + 1e-6
"""What the first weights of a null arm are multiplied with: an effect that such a change also has is no effect of an idea."""
HOW = f"""\
Intervals: {LEVEL:.0%}, Student's t over seeds, paired where two arms are compared, on the same test scenes throughout: they say
what other seeds would give here, and nothing of other scenes. A star: told apart from zero after Holm's correction over all
cells of its table. No effect smaller than those of the null rows is one: they compare an arm with itself, with another seed
(typical size: the root of the mean square) or with first weights that were multiplied with 1 + {NUDGE - 1:.0e}.
"""


@dataclass(frozen=True)
class Compared:
    """A mean over seeds with its interval, and the chance of one as far from ``against``; NaN where seeds are too few."""

    mean: float
    low: float
    high: float
    chance: float


def over_seeds(values: Sequence[float] | Array, against: float = 0) -> Compared:
    """Mean of values (S,), one a seed, or of paired differences, with its t interval; all NaN if one of them is.

    The chance is two-sided, of a mean as far from ``against``.
    """
    values = np.asarray(values, np.float64)
    if not len(values) or not np.isfinite(values).all():
        return Compared(*[np.nan] * 4)
    if len(values) < 2:
        return Compared(float(values[0]), np.nan, np.nan, np.nan)
    if np.ptp(values) == 0:  # as runs that are the same; SciPy would divide by zero
        return Compared(*[float(values[0])] * 3, float(values[0] == against))
    found = ttest_1samp(values, against)
    low, high = found.confidence_interval(LEVEL)
    return Compared(float(values.mean()), float(low), float(high), float(found.pvalue))


def two_seeds(values: Sequence[float] | Array) -> float:
    """How far two seeds of one arm typically lie apart: the root of the mean square difference of all pairs of values (S,)."""
    return float(np.sqrt(2) * np.std(values, ddof=1)) if len(values) > 1 else np.nan


def holm(chances: Sequence[float] | Array) -> Array:
    """Chances (N,) adjusted for being many (Holm, Scandinavian Journal of Statistics 6, 1979); NaN stay, and do not count."""
    chances = np.asarray(chances, np.float64)
    adjusted, known = np.full(chances.shape, np.nan), np.flatnonzero(np.isfinite(chances))
    order = known[np.argsort(chances[known])]
    adjusted[order] = np.minimum(np.maximum.accumulate(chances[order] * np.arange(len(order), 0, -1)), 1)
    return adjusted


def stars(found: Sequence[Compared | None]) -> list[str]:
    """A star for each cell of a table that is told apart from zero, after Holm's correction over all; else nothing."""
    adjusted = holm([np.nan if one is None else one.chance for one in found])
    return [" *" if chance < 1 - LEVEL else "" for chance in adjusted]
