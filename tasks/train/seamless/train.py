"""Source training: a seamless network learns from labelled pinhole images, the same whether it was interrupted or not.

    python -m tasks.train.seamless.train configs/trainings/source_street.yaml

    <output>/config.json, model.safetensors   the network, as transformers writes them
    <output>/figures.json                     its five figures on the validation images, and the thresholds behind them
    <output>/checkpoints/step-<number>.pt     what is needed to go on

What a step does follows from the config, the step and the state in the checkpoint before it.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping
from dataclasses import replace

import torch
from accelerate import PartialState

from metrics.seamless.quality import Figures
from models.seamless.branch import BranchSettings
from models.seamless.learner import SourceLearner
from models.seamless.network import LARGE, SMALL, SeamlessNetwork, SeamlessSettings
from models.seamless.proposals import ProposalSettings
from models.seamless.saved import SeamlessModel, model_files
from storage.fingerprint import digest
from storage.urls import join, read_bytes, write_bytes
from tasks.seamless.reading import SeamlessData, open_seamless_data
from tasks.seamless.scores import score
from tasks.seamless.vocabularies import THINGS
from tasks.train.loop import train
from tasks.train.progress import Log
from tasks.train.seamless.batches import PinholeCrops
from tasks.train.seamless.settings import Network, PinholeData, SourceTraining, load_source_training


def train_source(config: SourceTraining, log: Log, stop: Callable[[], bool] = lambda: False) -> Figures | None:
    """Train, from the newest checkpoint on if there is one, save the network, and measure it if there is validation data.

    Raises
    ------
    SourceError
        There is no image, or none with labels that can be read.
    Stopped, Diverged
        As :func:`tasks.train.loop.train`.
    ValueError
        The checkpoints in the output folder are of another config, or the validation data do not say what is hidden.
    """
    data = _open(config.data)
    validation = None if config.validation is None else _open(config.validation)
    if validation is not None and not validation.about.amodal:
        raise ValueError(
            f"validation: {validation.kind} does not say what is hidden, so its figures cannot be measured; leave it out"
        )
    torch.manual_seed(config.seed)
    network = SeamlessNetwork(seamless_settings(config.network, len(data.about.classes), 0))
    model = SeamlessModel(network, data.about.classes)
    learner = SourceLearner(model, config.learning_rate, config.head_rate, data.about.amodal)
    train(learner, PinholeCrops(data, config), config.loop(), join(config.output, "checkpoints"), log, stop)
    figures = None
    if validation is not None:
        figures, rule = score(model, validation, config.least_stuff)
        chosen = {"instance_score": rule.instance_score, "amodal_score": rule.amodal_score, "least_stuff": rule.least_stuff}
        content = json.dumps({**figures, **chosen, "images": len(validation)}, indent=1) + "\n"
        if PartialState().is_main_process:
            write_bytes(join(config.output, "figures.json"), content.encode())
    if PartialState().is_main_process:
        _save(model, data, config)
    PartialState().wait_for_everyone()
    return figures


def _open(data: PinholeData) -> SeamlessData:
    return open_seamless_data(data.kind, data.root, data.split)


def seamless_settings(network: Network, classes: int, seam: int) -> SeamlessSettings:
    """Settings of the network that a config describes."""
    branch = BranchSettings(
        ProposalSettings(size=network.anchor, candidates=network.proposals, limit=network.proposals),
        hidden=network.hidden,
        mask_layers=network.mask_layers,
        sampled=network.sampled,
    )
    encoder = {**(SMALL if network.size == "small" else LARGE), **network.encoder_config}
    return SeamlessSettings(classes, THINGS, network.encoder, encoder, network.channels, seam, branch)


def _save(model: SeamlessModel, data: SeamlessData, config: SourceTraining) -> None:
    """Write the network, as one for panoramas."""
    closed = SeamlessNetwork(replace(model.network.settings, seam=config.network.seam))
    closed.load_state_dict(model.network.state_dict())
    learned = sorted({digest(read_bytes(entry.uri)) for entry in data.entries})
    # The config last: a folder with it is whole.
    files = model_files(replace(model, network=closed, trained_on=tuple(learned)))
    for name, content in sorted(files.items(), reverse=True):
        write_bytes(join(config.output, name), content)


def main() -> None:
    """The command line; see the top of this file."""
    parser = argparse.ArgumentParser(description="Train a seamless network on labelled pinhole images.")
    parser.add_argument("config", help="YAML file, see configs/trainings/source_street.yaml and docs/adapt.md")
    config = load_source_training(parser.parse_args().config)

    def say(step: int, figures: Mapping[str, float]) -> None:
        terms = {name: value for name, value in figures.items() if not name.startswith("optimizer.")}
        print(f"{step}/{config.steps} " + " ".join(f"{name} {value:.3f}" for name, value in terms.items()), flush=True)

    figures = train_source(config, say)
    shown = {name: "-" if value is None else f"{100 * value:.1f}" for name, value in (figures or {}).items()}
    print(config.output, *(f"{name} {value}" for name, value in shown.items()))


if __name__ == "__main__":
    main()
