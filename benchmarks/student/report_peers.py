"""The page of the peers: other networks on the same backbone, data and budget."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from benchmarks.comparisons import stars
from benchmarks.student.arms import NUDGED, PEERS, TRUTH
from benchmarks.student.intervals import FIGURES, Table
from benchmarks.student.rates import SEED, rates_folder, score
from benchmarks.student.tables import Runs, figures_of, markdown_table, null_rows, paired, worse_cell

INTRO = """\
# Peers on the same data and budget

All learn from ground truth. The student is the whole one, named ground truth as in the decisive test. The peers are compact
networks of our own after published ideas (benchmarks/student/peers.py), not the published code; they share the backbone and
its continuation over the borders, have about as many weights, and each its own learning rate.
"""
WORSE = """\
Worse than the student, in per cent; negative is better. The median of a run's seconds is that of a shared machine.
"""
RATES = f"""\
## Learning rates

One run each (seed {SEED}), on the held-out scenes; score =
AbsRel + degrees / 90 + 1 - mIoU, the less the better.
"""


def page(runs: Runs, folder: Path) -> Iterator[str]:
    """Lines of the page."""
    yield INTRO
    yield from figures_of(runs, PEERS)
    yield WORSE
    yield from markdown_table(["", *FIGURES, "seconds a run"], _against_student(runs))
    yield RATES
    yield from markdown_table(["network", "rate", *FIGURES, "score"], _rates(folder))


def _against_student(runs: Runs) -> Iterator[list[str]]:
    arms = [arm.name for arm in PEERS if arm not in (TRUTH, NUDGED) and arm.name in runs]
    found = [paired(runs, arm, TRUTH.name, name) for arm in arms for name in FIGURES]
    cells = [worse_cell(*one) for one in zip(found, stars(found))]
    if TRUTH.name in runs:
        yield [TRUTH.name, *("0" for _ in FIGURES), _seconds(runs[TRUTH.name])]
    for number, arm in enumerate(arms):
        yield [arm, *cells[len(FIGURES) * number :][: len(FIGURES)], _seconds(runs[arm])]
    yield from ([arm, *apart, ""] for arm, _, *apart in null_rows(runs))


def _seconds(own: Mapping[int, Mapping[str, Any]]) -> str:
    return f"{sorted(run['seconds'] for run in own.values())[len(own) // 2]:.0f}"


def _rates(folder: Path) -> Iterator[list[str]]:
    for path in sorted(rates_folder(folder).glob("*.json")):
        run = json.loads(path.read_text())
        network, figures = run["arm"]["network"], Table.of([run]).means()
        rate, shown = run["rate"], [f"{figures[name]:.3f}" for name in FIGURES]
        yield [network, f"{rate:g}", *shown, f"{score(figures):.3f}"]
