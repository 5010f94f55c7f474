"""The tables of the experiments, from the runs that are there.

    python -m benchmarks.student.report [--folder work/experiments/student] [--results benchmarks/results]

What stands below ``## What this shows`` in a page is written by hand, and kept.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable
from pathlib import Path

from benchmarks.student import report_ablation, report_decisive, report_peers
from benchmarks.student.arms import all_arms
from benchmarks.student.data import FOLDER
from benchmarks.student.recipe import Recipe, recipe_of
from benchmarks.student.run import SEEDS, planned, run_file
from benchmarks.student.scale import scale_of
from benchmarks.student.tables import Runs, footer

REMARKS = "## What this shows"
PAGES = {
    "student_decisive.md": report_decisive.page,
    "student_ablation.md": report_ablation.page,
    "student_peers.md": report_peers.page,
}


def read_runs(folder: Path, recipe: Recipe) -> Runs:
    """All runs of a recipe, by the arm's name and the seed."""
    runs: Runs = {}
    for arm, seed in planned(SEEDS, all_arms()):
        path = run_file(folder, recipe, arm, seed)
        if path.exists():
            runs.setdefault(arm.name, {})[seed] = json.loads(path.read_text())
    return runs


def write_page(path: Path, lines: Iterable[str]) -> None:
    """Replace a page, but for the remarks at its end."""
    before = path.read_text() if path.exists() else ""
    remarks = before[before.index(REMARKS) :] if REMARKS in before else f"{REMARKS}\n\nNot yet written.\n"
    path.write_text("\n".join(lines).rstrip() + "\n\n" + remarks)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=FOLDER)
    parser.add_argument("--results", type=Path, default=Path("benchmarks/results"))
    parser.add_argument("--steps", type=int, help="of the runs, if not those of the scale")
    options = parser.parse_args()
    scale = scale_of(options.folder)
    recipe = recipe_of(scale, options.steps)
    runs = read_runs(options.folder, recipe)
    for name, page in PAGES.items():
        write_page(options.results / name, (*page(runs, options.folder), footer(runs, SEEDS, recipe, scale)))
        print(f"{options.results / name}: from {sum(map(len, runs.values()))} of {SEEDS * len(all_arms())} runs")


if __name__ == "__main__":
    main()
