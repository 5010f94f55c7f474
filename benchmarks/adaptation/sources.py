"""The source models of the experiment: a small network for each seed, with the score thresholds that source images choose."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.adaptation.world import PINHOLE, pinholes
from configs.source_training import Network, SourceTraining
from models.seamless.fusion import FusionRule
from models.seamless.saved import SeamlessModel, load_model
from tasks.seamless_data.vocabularies import THINGS
from tasks.source_training import train_source

NETWORK = Network(
    size="small", encoder="resnet", channels=32, hidden=128, mask_layers=1, proposals=100, sampled=64, anchor=4,
    encoder_config={"embedding_size": 16, "hidden_sizes": [16, 32, 48, 64], "depths": [1, 1, 1, 1], "layer_type": "basic"},
)  # fmt: skip
"""With batch normalisation, unlike the paper's encoder, so that what its statistics alone do can be seen."""
LEAST_STUFF = 64


@dataclass(frozen=True, eq=False)
class Source:
    """A model that learned from pinhole images, and the rule of its maps, chosen on other pinhole images."""

    model: SeamlessModel
    rule: FusionRule


def source(folder: Path, seed: int, steps: int) -> Source:
    """The source model of a seed, trained if it is not there."""
    output = folder / "sources" / str(seed)
    if not (output / "config.json").exists():
        train_source(_config(folder, output, seed, steps), _log)
    chosen = json.loads((output / "figures.json").read_text())
    rule = FusionRule(THINGS, chosen["instance_score"], chosen["amodal_score"], LEAST_STUFF)
    return Source(load_model(output), rule)


def _config(folder: Path, output: Path, seed: int, steps: int) -> SourceTraining:
    train, validation = pinholes(folder, "train"), pinholes(folder, "val")
    return SourceTraining(
        data=train, validation=validation, output=str(output), network=NETWORK, steps=steps, batch_size=2, crop=PINHOLE,
        learning_rate=2e-3, head_rate=2, least_stuff=LEAST_STUFF, seed=seed, threads=1, device="cpu",
        checkpoint_every=100, keep=1,
    )  # fmt: skip


def _log(step: int, terms: Mapping[str, float]) -> None:
    print(f"source, step {step}: {sum(terms.values()):.2f}", file=sys.stderr, flush=True)
