"""The source models of the experiment: a small network for each seed, with the score thresholds that source images choose."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.adaptation.experiments import Experiment
from benchmarks.adaptation.world import PINHOLE, pinholes
from models.seamless.fusion import FusionRule
from models.seamless.saved import SeamlessModel, load_model
from tasks.seamless.vocabularies import THINGS
from tasks.train.seamless.settings import SourceTraining
from tasks.train.seamless.train import train_source

LEAST_STUFF = 64


@dataclass(frozen=True, eq=False)
class Source:
    """A model that learned from pinhole images, and the rule of its maps, chosen on other pinhole images."""

    model: SeamlessModel
    rule: FusionRule


def source(folder: Path, experiment: Experiment, seed: int) -> Source:
    """The source model of a seed, trained if it is not there."""
    output = folder / experiment.folder / "sources" / str(seed)
    if not (output / "config.json").exists():
        train_source(_config(folder, experiment, output, seed), _log)
    chosen = json.loads((output / "figures.json").read_text())
    rule = FusionRule(THINGS, chosen["instance_score"], chosen["amodal_score"], LEAST_STUFF)
    return Source(load_model(output), rule)


def _config(folder: Path, experiment: Experiment, output: Path, seed: int) -> SourceTraining:
    train, validation = (pinholes(folder, split, experiment.world) for split in ("train", "val"))
    return SourceTraining(
        data=train, validation=validation, output=str(output), network=experiment.network, steps=experiment.source_steps,
        batch_size=experiment.source_batch, crop=PINHOLE, learning_rate=experiment.source_rate, head_rate=2,
        least_stuff=LEAST_STUFF, seed=seed, threads=1, device="cpu", checkpoint_every=100, keep=1,
    )  # fmt: skip


def _log(step: int, terms: Mapping[str, float]) -> None:
    print(f"source, step {step}: {sum(terms.values()):.2f}", file=sys.stderr, flush=True)
