"""The page of the decisive test: the identical network from truth, and from labels that nobody made by hand."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from benchmarks.student.arms import DECISIVE, MARGIN, TRUTH
from benchmarks.student.data import STORES, VIEW_SCALE
from benchmarks.student.figures import label_figures
from benchmarks.student.floor import floor_figures
from benchmarks.student.intervals import FIGURES
from benchmarks.student.run import SEEDS
from benchmarks.student.tables import Interval, Runs, comparisons, figures_of, markdown_table, paired, value_cell, worse_cell

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
than {MARGIN:.0%} of what the student of the truth reaches, with the whole 95 % interval. The truth of the test scenes is
exact, whatever the labels of training were. Noise: one factor a view, of standard deviation {VIEW_SCALE} in the logarithm.
The pseudo-labels are those of the demo teacher, which saw none of these scenes; merged is `fuse.depth: blend`. One view per
step: depth from one random view, normals and classes merged, as MTPano's description has it.
"""
FLOOR = """\
The floor looks at no panorama: it says the training truth's median distance, commonest class and mean normal of each row.
"""
AGAINST_TRUTH = """\
## Against the truth

Worse than the student of the truth, in per cent of its figure. Then whether it counts as good: `as good` with the whole
interval below the margin, `worse` with the whole interval above it, `open` between; a dash before all seeds are in.
"""
AGAINST_EACH_OTHER = """\
## Against each other

In per cent; negative is better.
"""
THE_LABELS = """\
## The labels themselves

Fused labels of the training panoramas against their truth, where they are valid; intervals over panoramas.
"""


def verdict(found: Interval | None, seeds: int) -> str:
    """``as good`` below the margin with all of the interval, ``worse`` with none of it, ``open`` between; none with few seeds."""
    if found is None or seeds < SEEDS:
        return "-"
    _, low, high = found
    return "as good" if high < MARGIN else "worse" if low > MARGIN else "open"


def page(runs: Runs, folder: Path) -> Iterator[str]:
    """Lines of the page."""
    yield INTRO
    yield from figures_of(runs, DECISIVE)
    floor = {0: {"scenes": floor_figures(folder)}}
    yield FLOOR
    yield from markdown_table(["", *FIGURES], [["floor", *(value_cell(floor, name) for name in FIGURES)]])
    yield AGAINST_TRUTH
    header = ["labels", *(cell for name in FIGURES for cell in (name, ""))]
    yield from markdown_table(header, _against_truth(runs))
    yield AGAINST_EACH_OTHER
    yield from comparisons(runs, PAIRS)
    yield THE_LABELS
    found = {name: {0: {"scenes": label_figures(folder, name)}} for name in STORES}
    rows = ([name.replace("_", " "), *(value_cell(own, figure) for figure in FIGURES)] for name, own in found.items())
    yield from markdown_table(["labels", *FIGURES], rows)


def _against_truth(runs: Runs) -> Iterator[list[str]]:
    for arm in DECISIVE[1:]:
        if arm.name in runs and TRUTH.name in runs:
            found = [paired(runs, arm.name, TRUTH.name, name) for name in FIGURES]
            seeds = len(runs[arm.name].keys() & runs[TRUTH.name].keys())
            yield [arm.name, *(cell for one in found for cell in (worse_cell(one), verdict(one, seeds)))]
