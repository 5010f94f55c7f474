"""Which learning rate and how many steps: tried on the validation scenes, of which no test scene is one, from one source model.

python -m benchmarks.adaptation.tune --seed 0
"""

from __future__ import annotations

import argparse
import json
from itertools import product
from pathlib import Path

import torch

from benchmarks.adaptation.arms import ARMS, MAIN
from benchmarks.adaptation.methods import Start
from benchmarks.adaptation.run import FOLDER, SOURCE_STEPS, TRAINING, run_arm
from benchmarks.adaptation.sources import source
from benchmarks.adaptation.world import panoramas
from metrics.seamless.suite import merged
from tasks.seamless_data.vocabularies import THINGS


def main() -> None:
    """The command line; see the top of this file."""
    parser = argparse.ArgumentParser(description="Learning rate and steps of the adaptation, on validation scenes.")
    parser.add_argument("--folder", type=Path, default=FOLDER)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--arms", nargs="+", choices=sorted(ARMS), default=["source", "statistics", "pseudo-labels", "OPLL", MAIN]
    )
    parser.add_argument("--rates", type=float, nargs="+", default=[3e-5, 3e-4])
    parser.add_argument("--steps", type=int, nargs="+", default=[TRAINING.steps])
    asked = parser.parse_args()
    torch.set_num_threads(1)
    learned = source(asked.folder, asked.seed, SOURCE_STEPS)
    pixels = [one.image for one in panoramas(asked.folder, "adapt")]
    validation = panoramas(asked.folder, "validation")
    out = asked.folder / "tuning.jsonl"
    for steps, rate, name in product(asked.steps, asked.rates, asked.arms):
        settings = TRAINING.model_copy(update={"seed": asked.seed, "steps": steps, "learning_rate": rate})
        record = run_arm(name, ARMS[name], Start(learned.model, pixels, settings), learned.rule, validation)
        row = {"arm": name, "rate": rate, "steps": steps, "seed": asked.seed, **merged(record.counts).figures(THINGS)}
        line = json.dumps({**row, "training_seconds": record.about["training_seconds"]})
        print(line, flush=True)
        with out.open("a") as file:
            file.write(line + "\n")


if __name__ == "__main__":
    main()
