"""Learning rates of the networks, compared on the held-out split with ground truth as labels; the test split has no part in it.

python -m benchmarks.student.rates [--folder work/experiments/student]
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch

from benchmarks.student.arms import PEERS
from benchmarks.student.data import FOLDER
from benchmarks.student.intervals import Table
from benchmarks.student.one_run import run_arm
from benchmarks.student.recipe import recipe_of
from benchmarks.student.run import write_run
from benchmarks.student.scale import scale_of

TRIED = (2e-3, 4e-3, 8e-3)
SEED = 100
"""Of no run that is reported."""


def rates_folder(folder: Path) -> Path:
    """Where the runs of this comparison lie."""
    return folder / "rates" / recipe_of(scale_of(folder)).name


def score(figures: dict[str, float]) -> float:
    """AbsRel + degrees / 90 + 1 - mIoU: the less, the better."""
    return figures["AbsRel"] + figures["normals, degrees"] / 90 + 1 - figures["mIoU"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=FOLDER)
    parser.add_argument("--rates", nargs="+", type=float, default=TRIED)
    options = parser.parse_args()
    torch.set_num_threads(1)
    recipe = recipe_of(scale_of(options.folder))
    for rate in options.rates:
        for arm in PEERS:
            path = rates_folder(options.folder) / f"{arm.key}-{rate:g}.json"
            if not path.exists():
                write_run(path, run_arm(arm, SEED, options.folder, recipe, rate, split="val"))
            found = json.loads(path.read_text())
            figures = Table.of([found]).means()
            told = ", ".join(f"{name} {value:.3f}" for name, value in figures.items())
            print(
                f"{arm.network} {rate}: {score(figures):.3f} ({told}), {found['seconds']} s, {found['parameters']} weights",
                flush=True,
            )


if __name__ == "__main__":
    main()
