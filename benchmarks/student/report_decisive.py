"""The page of the decisive test: the identical network from truth, and from labels that nobody made by hand."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.comparisons import LEVEL, Compared, holm
from benchmarks.student.arms import DECISIVE, MARGIN, NUDGED, TRUTH
from benchmarks.student.data import STORES, VIEW_SCALE
from benchmarks.student.figures import label_figures
from benchmarks.student.floor import floor_figures
from benchmarks.student.intervals import FIGURES
from benchmarks.student.run import SEEDS
from benchmarks.student.tables import Runs, comparisons, figures_of, markdown_table, null_rows, paired, scenes_cell, worse_cell

PAIRS = (
    ("pseudo, one view per step", "pseudo, merged"),
    ("pseudo, aligned and fused", "pseudo, merged"),
    ("pseudo, confidence-weighted", "pseudo, merged"),
    ("5 % truth + pseudo, merged", "pseudo, merged"),
    ("5 % truth + pseudo, merged", "5 % truth alone"),
)
INTRO = f"""\
# The decisive test: the identical network from ground truth and from pseudo-labels

Margin, stated before any run: labels count as good as the truth for a task if the student of these labels is worse by less
than {MARGIN:.0%} of what the student of the truth reaches, told apart from that margin at {LEVEL:.0%} after
Holm's correction. The truth of the test scenes is exact, whatever the labels of training were. Noise: one factor a view, of
standard deviation {VIEW_SCALE} in the logarithm.
The pseudo-labels are those of the demo teacher, which saw none of these scenes; merged is `fuse.depth: blend`. One view per
step: depth from one random view, normals and classes merged, as MTPano's description has it.
"""
FLOOR = """\
The floor looks at no panorama: it says the training truth's median distance, commonest class and mean normal of each row.
Its intervals are over scenes: it has no seed.
"""
AGAINST_TRUTH = """\
## Against the truth

Worse than the student of the truth, in per cent of its figure, with its own interval. Then whether it counts as good: `as
good` below the margin and `worse` above it, if told apart from the margin after Holm's correction over the table, else
`open`; a dash before all seeds are in.
"""
AGAINST_EACH_OTHER = """\
## Against each other

In per cent; negative is better.
"""
THE_LABELS = """\
## The labels themselves

Fused labels of the training panoramas against their truth, where they are valid; intervals (t, jackknife) over panoramas.
"""


def verdict(found: Compared | None, adjusted: float, seeds: int) -> str:
    """``as good`` or ``worse`` if told apart from the margin by the adjusted chance, else ``open``; none with few seeds."""
    if found is None or seeds < SEEDS:
        return "-"
    return "open" if not adjusted < 1 - LEVEL else "as good" if found.mean < MARGIN else "worse"


def page(runs: Runs, folder: Path) -> Iterator[str]:
    """Lines of the page."""
    yield INTRO
    yield from figures_of(runs, DECISIVE)
    floor = floor_figures(folder)
    yield FLOOR
    yield from markdown_table(["", *FIGURES], [["floor", *(scenes_cell(floor, name) for name in FIGURES)]])
    yield AGAINST_TRUTH
    header = ["labels", *(cell for name in FIGURES for cell in (name, ""))]
    yield from markdown_table(header, _against_truth(runs))
    yield AGAINST_EACH_OTHER
    yield from comparisons(runs, PAIRS)
    yield THE_LABELS
    found = {name: label_figures(folder, name) for name in STORES}
    rows = ([name.replace("_", " "), *(scenes_cell(own, figure) for figure in FIGURES)] for name, own in found.items())
    yield from markdown_table(["labels", *FIGURES], rows)


def _against_truth(runs: Runs) -> Iterator[list[str]]:
    arms = [arm.name for arm in DECISIVE if arm not in (TRUTH, NUDGED) and arm.name in runs and TRUTH.name in runs]
    found = [[paired(runs, arm, TRUTH.name, name, against=MARGIN) for name in FIGURES] for arm in arms]
    chances = [np.nan if one is None else one.chance for row in found for one in row]
    adjusted = holm(chances).reshape(-1, len(FIGURES))
    for arm, row, own in zip(arms, found, adjusted):
        seeds = len(runs[arm].keys() & runs[TRUTH.name].keys())
        yield [arm, *(cell for one, chance in zip(row, own) for cell in (worse_cell(one), verdict(one, chance, seeds)))]
    yield from ([arm, *(cell for one in cells for cell in (one, ""))] for arm, _, *cells in null_rows(runs))
