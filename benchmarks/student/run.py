"""Every arm with every seed that is not there yet, seed by seed.

    python -m benchmarks.student.run [--folder work/experiments/student] [--seeds 5] [--tests decisive] [--share 1/2]

A run is a JSON file, written when it is done: stop it at any time, and start it again. Several processes take shares.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path

import torch

from benchmarks.student.arms import TESTS, Arm, distinct
from benchmarks.student.data import FOLDER, MissingLabels
from benchmarks.student.one_run import run_arm
from benchmarks.student.recipe import Recipe, recipe_of
from benchmarks.student.scale import scale_of

SEEDS = 5


def planned(seeds: int, arms: Sequence[Arm]) -> Iterator[tuple[Arm, int]]:
    """All runs in their order: seeds outside, so that tables are useful early."""
    for seed in range(seeds):
        for arm in arms:
            yield arm, seed


def run_file(folder: Path, recipe: Recipe, arm: Arm, seed: int) -> Path:
    """Where a run's figures lie."""
    return folder / "runs" / recipe.name / f"{arm.key}-{scale_of(folder).rates[arm.network]:g}-{seed}.json"


def write_run(path: Path, found: dict[str, object]) -> None:
    """Whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_text(json.dumps(found | {"date": str(date.today())}))
    part.replace(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=FOLDER)
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--tests", nargs="+", choices=TESTS, default=list(TESTS))
    parser.add_argument("--share", default="1/1", help="which of how many processes this is")
    parser.add_argument("--steps", type=int, help="of each run, if not those of the scale")
    options = parser.parse_args()
    scale = scale_of(options.folder)
    recipe = recipe_of(scale, options.steps)
    torch.set_num_threads(1)
    own, of = map(int, options.share.split("/"))
    arms = distinct(arm for test in options.tests for arm in TESTS[test])
    for number, (arm, seed) in enumerate(planned(options.seeds, arms)):
        path = run_file(options.folder, recipe, arm, seed)
        if number % of == own - 1 and not path.exists():
            try:
                found = run_arm(arm, seed, options.folder, recipe, scale.rates[arm.network])
            except MissingLabels as error:  # the others need not wait for them
                print(f"{arm.name}, seed {seed}: {error}", flush=True)
                continue
            write_run(path, found)
            print(f"{arm.name}, seed {seed}: {found['seconds']} s", flush=True)


if __name__ == "__main__":
    main()
