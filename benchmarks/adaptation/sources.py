"""The source models of the experiment: a small network for each seed, with the score thresholds that source images choose."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.adaptation.experiments import Experiment
from benchmarks.adaptation.world import PINHOLE, pinholes
from models.seamless.fusion import FusionRule
from models.seamless.saved import SeamlessModel, load_model
from storage.receipts import read_receipt
from tasks.pipeline import steps, validated
from tasks.seamless.vocabularies import THINGS
from tasks.stage.job import Job
from tasks.stage.models import MODEL
from tasks.train.seamless.train import FIGURES, train_block

LEAST_STUFF = 64


@dataclass(frozen=True, eq=False)
class Source:
    """A model that learned from pinhole images, and the rule of its maps, chosen on other pinhole images."""

    model: SeamlessModel
    rule: FusionRule


def trained(values: dict[str, Any], root: Path) -> Path:
    """The block of a source training into the store ``root``, trained if it is not there; ``values`` are those of its stage."""
    own = {"kind": "seamless", **values}
    config = validated({"name": "source", "root": str(root), "stages": {"train": own}, "execution": {"device": "cpu"}})
    (step,) = steps(config, lambda _source: ())
    job = Job(step.stage, step.blocks[0], "experiment", config.execution)
    if read_receipt(job.url) is None:
        train_block(job)
    return Path(job.url)


def source(folder: Path, experiment: Experiment, seed: int) -> Source:
    """The source model of a seed, trained if it is not there."""
    block = trained(_values(folder, experiment, seed), folder / experiment.folder / "sources")
    chosen = json.loads((block / FIGURES).read_text())
    rule = FusionRule(THINGS, chosen["instance_score"], chosen["amodal_score"], LEAST_STUFF)
    return Source(load_model(block / MODEL), rule)


def _values(folder: Path, experiment: Experiment, seed: int) -> dict[str, Any]:
    train, validation = (pinholes(folder, split, experiment.world).model_dump() for split in ("train", "val"))
    return {
        "data": train, "validation": validation, "network": experiment.network.model_dump(), "steps": experiment.source_steps,
        "batch_size": experiment.source_batch, "crop": PINHOLE, "learning_rate": experiment.source_rate, "head_rate": 2,
        "least_stuff": LEAST_STUFF, "seed": seed, "threads": 1, "checkpoint_every": 100, "keep": 1,
    }  # fmt: skip
