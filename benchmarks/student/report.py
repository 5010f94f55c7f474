"""The tables of the experiments, from the runs that are there.

    python -m benchmarks.student.report [--folder work/experiments/student] [--tests ablation]

What stands below ``## What this shows`` in a page is written by hand, and kept.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Iterator
from pathlib import Path

from benchmarks.student import report_ablation, report_decisive, report_peers, report_views
from benchmarks.student.arms import TESTS, all_arms
from benchmarks.student.data import FOLDER
from benchmarks.student.recipe import Recipe, recipe_of
from benchmarks.student.run import SEEDS, planned, run_file
from benchmarks.student.scale import scale_of
from benchmarks.student.tables import Runs, footer

REMARKS = "## What this shows"
PAGES = {
    "decisive": report_decisive.page,
    "ablation": report_ablation.page,
    "peers": report_peers.page,
    "views": report_views.page,
}
"""Of each test."""


def read_runs(folder: Path, recipe: Recipe) -> Runs:
    """All runs of a recipe, by the arm's name and the seed."""
    runs: Runs = {}
    for arm, seed in planned(SEEDS, all_arms()):
        path = run_file(folder, recipe, arm, seed)
        if path.exists():
            runs.setdefault(arm.name, {})[seed] = json.loads(path.read_text())
    return runs


def page_of(test: str, runs: Runs, folder: Path, recipe: Recipe) -> Iterator[str]:
    """Lines of a test's page, and what it rests on."""
    own = {arm.name: runs[arm.name] for arm in TESTS[test] if arm.name in runs}
    yield from PAGES[test](own, folder)
    yield footer(own, SEEDS * len(TESTS[test]), recipe, scale_of(folder))


def write_page(path: Path, lines: Iterable[str]) -> None:
    """Replace a page, but for the remarks at its end."""
    before = path.read_text() if path.exists() else ""
    remarks = before[before.index(REMARKS) :] if REMARKS in before else f"{REMARKS}\n\nNot yet written.\n"
    path.write_text("\n".join(lines).rstrip() + "\n\n" + remarks)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=FOLDER)
    parser.add_argument("--results", type=Path, default=Path("benchmarks/results/student"))
    parser.add_argument("--steps", type=int, help="of the runs, if not those of the scale")
    parser.add_argument("--tests", nargs="+", choices=TESTS, default=list(TESTS), help="whose pages are written")
    options = parser.parse_args()
    recipe = recipe_of(scale_of(options.folder), options.steps)
    runs = read_runs(options.folder, recipe)
    for test in options.tests:
        path = options.results / f"student_{test}.md"
        write_page(path, page_of(test, runs, options.folder, recipe))
        print(f"{path}: written")


if __name__ == "__main__":
    main()
