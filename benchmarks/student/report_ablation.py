"""The page of the ablation: one idea more from row to row, and how far the gradients of tasks agree."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np

from benchmarks.student.arms import ABLATION, NUDGED, SINGLE, Arm
from benchmarks.student.tables import Runs, comparisons, figures_of, markdown_table

NESTED = tuple(arm for arm in ABLATION if arm not in (*SINGLE, NUDGED))
COSINES = (
    "backbone/depth~normals",
    "backbone/depth~semantics",
    "backbone/normals~semantics",
    "streams.invariant/depth~semantics",
)
INTRO = """\
# Ablation: from single tasks to the whole student

All arms learn from ground truth. Ideas that are off are replaced by their twin with the same weights where there is one
(streams, mixer, modulation, truncation); bridges and auxiliaries add weights. The row named ground truth, as in the
decisive test, is the whole student: + auxiliaries.
"""
CHANGE = """\
## Change

In per cent; negative is better. First the multi-task network against the networks of one task, then each row against the one
before.
"""
GRADIENTS = """\
## Cosines between the gradients of tasks

On two held-out panoramas with their truth, at three moments of each training: mean over moments and seeds, and the range of
the seeds' means. A dash: the tasks share no weights there.
"""


def page(runs: Runs, folder: Path) -> Iterator[str]:
    """Lines of the page."""
    yield INTRO
    yield from figures_of(runs, ABLATION)
    yield CHANGE
    plain, whole = NESTED[0].name, NESTED[-1].name
    steps = [(after.name, before.name) for before, after in pairwise(NESTED)]
    yield from comparisons(runs, [*((plain, arm.name) for arm in SINGLE), *steps, (whole, plain)])
    yield GRADIENTS
    rows = ([arm.name, *(_cosine(runs, arm, name) for name in COSINES)] for arm in NESTED if arm.name in runs)
    yield from markdown_table(["", *(name.replace("~", " ~ ") for name in COSINES)], rows)


def _cosine(runs: Runs, arm: Arm, name: str) -> str:
    by_seed = [[step[name] for step in run["cosines"].values() if name in step] for run in runs[arm.name].values()]
    means = [float(np.mean(values)) for values in by_seed if values]
    return f"{np.mean(means):+.2f} ({min(means):+.2f} to {max(means):+.2f})" if means else "-"
