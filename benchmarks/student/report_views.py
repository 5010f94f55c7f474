"""The page on views that contradict each other: whether it is better to learn from one at a time, or from what they come to."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from benchmarks.student.arms import MERGED, NOISY, NOISY_ALIGNED, NOISY_VIEW, TRUTH, VIEW, VIEWS
from benchmarks.student.data import VIEW_SCALE
from benchmarks.student.tables import Runs, comparisons, figures_of

PAIRS = ((NOISY, TRUTH), (NOISY_VIEW, NOISY), (NOISY_ALIGNED, NOISY), (VIEW, MERGED))
INTRO = f"""\
# Views that contradict each other: one a step, merged, or aligned

MTPano learns depth from one random view a step, lest views of different scales be mixed in one loss. Here the truth comes with
one factor a view, of standard deviation {VIEW_SCALE} in the logarithm, and the demo teacher's labels as they are. `one view per
step` takes depth from one view and all else merged (`supervision: depth_view`); `all tasks`, everything from that view
(`supervision: view`); `aligned` is `fuse.depth: align`.
"""
AGAINST_EACH_OTHER = """\
## Against each other

In per cent; negative is better.
"""


def page(runs: Runs, _folder: Path) -> Iterator[str]:
    """Lines of the page."""
    yield INTRO
    yield from figures_of(runs, VIEWS)
    yield AGAINST_EACH_OTHER
    yield from comparisons(runs, [(one.name, other.name) for one, other in PAIRS])
