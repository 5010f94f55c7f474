"""adapt: source model, pseudo-labels and object pool -> adapted model. It is given no truth and no source data."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

from configs.adapt import AdaptConfig
from models.seamless.saved import SeamlessModel
from storage.fingerprint import Identity
from storage.receipts import Receipt, write_file
from storage.urls import files_below, join, remove
from tasks.adapt.examples import Examples, Panoramas
from tasks.adapt.pool import read_pool
from tasks.adapt.training import adapt_model
from tasks.adapt.vocabulary import adapt_config, vocabulary
from tasks.seamless.model import read_model, write_model
from tasks.stage.block import Job, Output
from tasks.stage.devices import device_name, resolve_device
from tasks.stage.grain import blocks_behind, make_whole, of_all, open_block
from tasks.stage.stopping import asked_to_stop
from tasks.train.processes import in_processes
from tasks.train.progress import Log

VERSION = "3"
MODEL = "model"
"""Folder of the adapted model below that of its block."""


def identity(config: AdaptConfig, model: str, upstream: dict[str, str]) -> Identity:
    """What the adapted model depends on: the source model's digest, and the fingerprints of predict, omni and pool."""
    own = config.training.fingerprinted()
    own = {name: value for name, value in own.items() if value or name not in ("anchor", "classmix")}
    if own["mixing"] == "none":
        own.pop("pasted")
        upstream = {stage: fingerprint for stage, fingerprint in upstream.items() if stage != "pool"}
    return Identity("adapt", VERSION, own, {"model": model}, upstream)


@dataclass(frozen=True)
class Learned:
    """An adapted model, its losses, and how much it learned from."""

    model: SeamlessModel
    losses: list[dict[str, float]]
    panoramas: int
    pool: int


def adapt_block(job: Job, stop: Callable[[], bool] = asked_to_stop, processes: int = 1) -> Receipt:
    """Train, from the newest checkpoint on, and store the folder of the model and its losses; then drop the checkpoints.

    Raises
    ------
    Stopped, Diverged
        As :func:`tasks.train.loop.train`.
    """
    config = adapt_config(job)
    planned = dict(job.identity.weights)

    def train() -> Output:
        learned: Learned = in_processes(processes, "tasks.adapt.adapt:learn", job, stop=stop)
        about = {"height": config.height, "adapted_from": planned["model"]}
        found, files = write_model(job.url, MODEL, learned.model, about)
        files |= write_file(job.url, "losses.json", (json.dumps(learned.losses, indent=1) + "\n").encode())
        figures = {"steps": config.training.steps, "panoramas": learned.panoramas, "pool": learned.pool, "model": found}
        return Output(figures=figures, files=files)

    about = vocabulary(read_model(config.model, planned["model"]))
    receipt = make_whole(job, train, about, planned, device_name(resolve_device(config.execution.device)))
    for name in files_below(_checkpoints(job)):
        remove(join(_checkpoints(job), name))
    return receipt


def learn(job: Job, log: Log, stop: Callable[[], bool]) -> Learned:
    """Train, as one process or as one of several; see :func:`tasks.train.processes.in_processes`."""
    config = adapt_config(job)
    model = read_model(config.model, dict(job.identity.weights)["model"])
    panoramas, pool = Panoramas(job), []
    if "pool" in job.identity.upstream:
        pool = read_pool(*open_block(job, "pool", of_all(blocks_behind(job)).name))
    examples, device = Examples(panoramas, pool, config.training), resolve_device(config.execution.device)
    adapted, losses = adapt_model(model, examples, config.training, _checkpoints(job), config.checkpoint_every, device, log, stop)
    return Learned(adapted, losses, len(panoramas.places), len(pool))


def _checkpoints(job: Job) -> str:
    return join(adapt_config(job).root, "checkpoints", job.identity.fingerprint, job.block.name)
