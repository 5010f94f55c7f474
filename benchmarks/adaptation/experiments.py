"""The experiments: with an encoder of batch normalisation, and, in two worlds, with an encoder that keeps no statistics."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from benchmarks.adaptation.arms import ARMS, FULL_ARMS, STEADY_ARMS, Arm
from benchmarks.adaptation.world import PLAIN, World
from tasks.adapt.settings import AdaptTraining
from tasks.train.seamless.settings import Network


@dataclass(frozen=True)
class Experiment:
    """What all arms share: the source models' network and training, the adaptation, and the world.

    ``folder``: keeps source models and records.
    """

    title: str
    folder: str
    network: Network
    source_steps: int
    source_batch: int
    source_rate: float
    training: AdaptTraining
    arms: Mapping[str, Arm]
    world: World = PLAIN


def _network(encoder: str, **settings: object) -> Network:
    common = {"size": "small", "channels": 32, "hidden": 128, "mask_layers": 1, "proposals": 100, "sampled": 64, "anchor": 4}
    return Network.model_validate({**common, "encoder": encoder, **settings})


def _training(steps: int) -> AdaptTraining:
    """The paper's ten objects a crop are for crops of four times the width."""
    rates = {"semantic": 1.0, "proposals": 0.1}
    return AdaptTraining(steps=steps, batch_size=2, crop=(96, 192), mixing="none", pasted=3, learning_rate=3e-4, rates=rates)


RESNET = {"embedding_size": 16, "hidden_sizes": [16, 32, 48, 64], "depths": [1, 1, 1, 1], "layer_type": "basic"}
EXPERIMENTS = {
    "resnet": Experiment(
        "an encoder with batch normalisation", "", _network("resnet", encoder_config=RESNET),
        source_steps=400, source_batch=2, source_rate=2e-3, training=_training(80), arms=ARMS,
    ),
    "pvt_v2": Experiment(
        "an encoder without batch normalisation", "pvt_v2", _network("pvt_v2"),
        source_steps=700, source_batch=4, source_rate=1e-3, training=_training(150), arms=STEADY_ARMS,
    ),
    "posters": Experiment(
        "streets with posters, rare vans and crowds; an encoder without batch normalisation", "full/pvt_v2", _network("pvt_v2"),
        source_steps=2000, source_batch=4, source_rate=1e-3, training=_training(150), arms=FULL_ARMS,
        world=World("full", full=True, learned=480),
    ),
}  # fmt: skip
