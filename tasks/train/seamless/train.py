"""train: labelled pinhole images -> a seamless network, the same whether the training was interrupted or not.

What a step does follows from the settings, the step and the state in the checkpoint before it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from accelerate import PartialState

from models.seamless.branch import BranchSettings
from models.seamless.learner import SourceLearner
from models.seamless.network import LARGE, SMALL, SeamlessNetwork, SeamlessSettings
from models.seamless.proposals import ProposalSettings
from models.seamless.saved import SeamlessModel
from storage.entries import Entries, write_file
from storage.fingerprint import digest
from storage.receipts import Receipt
from storage.urls import files_below, join, read_bytes, remove
from tasks.seamless.model import write_model
from tasks.seamless.reading import SeamlessData, open_seamless_data
from tasks.seamless.scores import score
from tasks.seamless.vocabularies import THINGS
from tasks.seamless.vocabulary import vocabulary
from tasks.stage.attempts.stopping import asked_to_stop
from tasks.stage.block import make_whole
from tasks.stage.devices import device_name, resolve_device
from tasks.stage.job import Job, Output
from tasks.stage.kind import Kind
from tasks.stage.models import MODEL
from tasks.train.loop import train
from tasks.train.processes import in_processes
from tasks.train.progress import Log, LogFile, telling_of
from tasks.train.seamless.batches import PinholeCrops
from tasks.train.seamless.settings import Network, PinholeData, TrainSeamless

VERSION = "1"
FIGURES = "figures.json"

KIND = Kind(
    "train.seamless",
    VERSION,
    TrainSeamless,
    {},
    MODEL,
    make="tasks.train.seamless.train:train_block",
    grain="all",
    network=True,
    shows="tasks.train.seamless.shown:shows",
    summary="tasks.train.seamless.shown:summary",
)


@dataclass(frozen=True)
class Learned:
    """What the receipt says of the network, its five figures on the validation images, and its files."""

    about: dict[str, Any]
    figures: dict[str, Any]
    files: Entries


def train_block(job: Job, stop: Callable[[], bool] = asked_to_stop) -> Receipt:
    """Train, from the newest checkpoint on if there is one, and store the network and its figures; then drop the checkpoints.

    Raises
    ------
    SourceError
        There is no image, or none with labels that can be read.
    Stopped, Diverged
        As :func:`tasks.train.loop.train`.
    ValueError
        The validation data do not say what is hidden.
    """
    about: dict[str, Any] = {}

    def make() -> Output:
        settings, device = job.settings, job.execution.device
        log = telling_of(settings.steps)
        learned: Learned = in_processes(settings.processes, "tasks.train.seamless.train:learn", job, log, stop, device)
        about.update(learned.about)
        return Output(figures={"steps": job.settings.steps, **learned.figures}, files=learned.files)

    receipt = make_whole(job, make, about, device=device_name(resolve_device(job.execution.device)))
    for name in files_below(job.checkpoints):
        remove(join(job.checkpoints, name))
    return receipt


def learn(job: Job, log: Log, stop: Callable[[], bool]) -> Learned:
    """Train as one process, or as one of several; the first one writes what comes of it into the block's folder."""
    settings: TrainSeamless = job.settings
    data = _open(settings.data)
    validation = None if settings.validation is None else _open(settings.validation)
    if validation is not None and not validation.about.amodal:
        raise ValueError(
            f"validation: {validation.kind} does not say what is hidden, so its figures cannot be measured; leave it out"
        )
    torch.manual_seed(settings.seed)
    network = SeamlessNetwork(seamless_settings(settings.network, len(data.about.classes), 0))
    model = SeamlessModel(network, data.about.classes)
    learner = SourceLearner(model, settings.learning_rate, settings.head_rate, data.about.amodal)
    kept = LogFile(join(job.checkpoints, "log.json"), (log,))
    train(learner, PinholeCrops(data, settings), settings.loop(job.execution.device), job.checkpoints, kept, stop)
    learned = Learned({}, {}, {})
    if PartialState().is_main_process:
        figures = {} if validation is None else _measured(model, validation, settings.least_stuff)
        files = write_file(job.url, FIGURES, (json.dumps(figures, indent=1) + "\n").encode())
        learned = Learned(vocabulary(model), figures, files | _saved(job.url, model, data, settings))
    PartialState().wait_for_everyone()
    return learned


def _measured(model: SeamlessModel, validation: SeamlessData, least_stuff: int) -> dict[str, Any]:
    """The five figures, and the thresholds behind them."""
    figures, rule = score(model, validation, least_stuff)
    chosen = {"instance_score": rule.instance_score, "amodal_score": rule.amodal_score, "least_stuff": rule.least_stuff}
    return {**figures, **chosen, "images": len(validation)}


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


def _saved(url: str, model: SeamlessModel, data: SeamlessData, settings: TrainSeamless) -> Entries:
    """Write the network, as one for panoramas."""
    closed = SeamlessNetwork(replace(model.network.settings, seam=settings.network.seam))
    closed.load_state_dict(model.network.state_dict())
    learned = sorted({digest(read_bytes(entry.uri)) for entry in data.entries})
    return write_model(url, MODEL, replace(model, network=closed, trained_on=tuple(learned)), {})[1]
