"""Which learning rate and how many steps: tried on the validation scenes, of which no test scene is one, from one source model.

python -m benchmarks.adaptation.tune --seed 0
"""

from __future__ import annotations

import argparse
import json
from itertools import product
from pathlib import Path

import torch

from benchmarks.adaptation.arms import MAIN
from benchmarks.adaptation.experiments import EXPERIMENTS
from benchmarks.adaptation.methods import Start
from benchmarks.adaptation.run import FOLDER, run_arm
from benchmarks.adaptation.sources import source
from benchmarks.adaptation.world import panoramas
from metrics.seamless.suite import merged
from tasks.seamless.vocabularies import THINGS


def main() -> None:
    """The command line; see the top of this file."""
    parser = argparse.ArgumentParser(description="Learning rate and steps of the adaptation, on validation scenes.")
    parser.add_argument("--folder", type=Path, default=FOLDER)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--experiment", choices=list(EXPERIMENTS), default="resnet")
    parser.add_argument("--arms", nargs="+", default=["source", "pseudo-labels", "OPLL", MAIN])
    parser.add_argument("--rates", type=float, nargs="+", default=[3e-5, 3e-4])
    parser.add_argument("--steps", type=int, nargs="+", help="those of the experiment if none are named")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    experiment = EXPERIMENTS[asked.experiment]
    learned = source(asked.folder, experiment, asked.seed)
    pixels = [one.image for one in panoramas(asked.folder, "adapt", experiment.world)]
    validation = panoramas(asked.folder, "validation", experiment.world)
    out = asked.folder / experiment.folder / "tuning.jsonl"
    for steps, rate, name in product(asked.steps or [experiment.training.steps], asked.rates, asked.arms):
        settings = experiment.training.model_copy(update={"seed": asked.seed, "steps": steps, "learning_rate": rate})
        start = Start(learned.model, pixels, settings)
        record = run_arm(name, experiment.arms[name], start, learned.rule, validation, experiment)
        row = {"arm": name, "rate": rate, "steps": steps, "seed": asked.seed, **merged(record.counts).figures(THINGS)}
        line = json.dumps({**row, "training_seconds": record.about["training_seconds"]})
        print(line, flush=True)
        with out.open("a") as file:
            file.write(line + "\n")


if __name__ == "__main__":
    main()
