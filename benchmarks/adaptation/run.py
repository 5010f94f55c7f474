"""The experiment: every arm from every seed. What is there is not made again, so it may be stopped at any time.

python -m benchmarks.adaptation.run --seeds 0 1 2 3 4
python -m benchmarks.adaptation.run --experiment pvt_v2
python -m benchmarks.adaptation.run --experiment posters
python -m benchmarks.adaptation.run --seeds 0 1 --sweep
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from benchmarks.adaptation.arms import Arm, sweep
from benchmarks.adaptation.experiments import EXPERIMENTS, Experiment
from benchmarks.adaptation.methods import Start, adapted
from benchmarks.adaptation.records import Record, record_file, write_record
from benchmarks.adaptation.sources import source
from benchmarks.adaptation.world import Panorama, panoramas
from metrics.seamless.suite import SuiteCounts, suite_counts
from models.seamless.fusion import FusionRule
from models.seamless.saved import SeamlessModel
from tasks.seamless.found import found_labels
from tasks.seamless.scores import find_in, truth_labels

FOLDER = Path("work/experiments/adaptation")


def measured(model: SeamlessModel, rule: FusionRule, given: Sequence[Panorama]) -> list[SuiteCounts]:
    """Counts of each panorama."""
    classes = len(model.classes)
    return [suite_counts(found_labels(*find_in(model, one.image), rule), truth_labels(one.truth), classes) for one in given]


def run_arm(name: str, arm: Arm, start: Start, rule: FusionRule, test: Sequence[Panorama], experiment: Experiment) -> Record:
    """Adapt and measure once."""
    begin, settings = time.process_time(), start.settings
    model = adapted(start, arm)
    training = time.process_time() - begin
    about = {
        "arm": name,
        "seed": settings.seed,
        "source_steps": experiment.source_steps,
        "settings": settings.model_dump(mode="json"),
        "training_seconds": training,
    }
    return Record(about, measured(model, rule, test))


def run_seed(folder: Path, experiment: Experiment, seed: int, arms: Mapping[str, Arm]) -> None:
    """All arms of a seed that have no record yet.

    Raises
    ------
    ValueError
        A record is of other settings, with which these may not be compared.
    """
    missing = {name: arm for name, arm in arms.items() if not recorded(folder, experiment, name, seed)}
    if not missing:
        return
    learned = source(folder, experiment, seed)
    settings = experiment.training.model_copy(update={"seed": seed})
    start = Start(learned.model, [one.image for one in panoramas(folder, "adapt", experiment.world)], settings)
    test = panoramas(folder, "test", experiment.world)
    for name, arm in missing.items():
        begin = time.monotonic()
        write_record(folder / experiment.folder, run_arm(name, arm, start, learned.rule, test, experiment))
        print(f"seed {seed}, {name}: {time.monotonic() - begin:.0f} s", flush=True)


def recorded(folder: Path, experiment: Experiment, name: str, seed: int) -> bool:
    """Whether there is a record of an arm and a seed; ValueError as :func:`run_seed`."""
    file = record_file(folder / experiment.folder, name, seed)
    if not file.exists():
        return False
    about = json.loads(file.read_text())
    settings = experiment.training.model_copy(update={"seed": seed})
    if (about["settings"], about["source_steps"]) != (settings.model_dump(mode="json"), experiment.source_steps):
        raise ValueError(f"{file}: is a record of other settings; give another --folder, or remove the runs in this one")
    return True


def main() -> None:
    """The command line; see the top of this file."""
    parser = argparse.ArgumentParser(description="Arms of source-free adaptation, paired over seeds.")
    parser.add_argument("--folder", type=Path, default=FOLDER)
    parser.add_argument("--seeds", type=int, nargs="+", default=list(range(5)))
    parser.add_argument("--experiment", choices=list(EXPERIMENTS), default="resnet")
    parser.add_argument("--arms", nargs="+", help="only these")
    parser.add_argument("--sweep", action="store_true", help="the thresholds instead of the arms")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    experiment = EXPERIMENTS[asked.experiment]
    wanted = asked.arms or experiment.arms
    if unknown := sorted(set(wanted) - set(experiment.arms)):
        parser.error(f"{asked.experiment} has no arms {', '.join(unknown)}; it has {', '.join(experiment.arms)}")
    arms = sweep() if asked.sweep else {name: experiment.arms[name] for name in wanted}
    for seed in asked.seeds:
        run_seed(asked.folder, experiment, seed, arms)


if __name__ == "__main__":
    main()
