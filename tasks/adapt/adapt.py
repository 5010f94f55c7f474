"""adapt: source model, pseudo-labels and object pool -> adapted model. It is given no truth and no source data."""

from __future__ import annotations

import json

from configs.adapt import AdaptConfig
from storage.fingerprint import Identity
from storage.receipts import Receipt, write_file
from storage.urls import files_below, join, remove
from tasks.adapt.examples import Examples, Panoramas
from tasks.adapt.pool import read_pool
from tasks.adapt.training import adapt_model
from tasks.adapt.vocabulary import adapt_config, vocabulary
from tasks.seamless.model import read_model, write_model
from tasks.seamless.student_model import kept_of_student
from tasks.stage.block import Job, Output
from tasks.stage.devices import device_name, resolve_device
from tasks.stage.grain import blocks_behind, make_whole, of_all, open_block

VERSION = "4"
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


def adapt_block(job: Job) -> Receipt:
    """Train, from the newest checkpoint on, and store the folder of the model and its losses; then drop the checkpoints."""
    config = adapt_config(job)
    device = resolve_device(config.execution.device)
    planned = dict(job.identity.weights)
    model = read_model(config.model, planned["model"])
    checkpoints = join(config.root, "checkpoints", job.identity.fingerprint, job.block.name)

    def train() -> Output:
        panoramas = Panoramas(job)
        pool = []
        if "pool" in job.identity.upstream:
            pool = read_pool(*open_block(job, "pool", of_all(blocks_behind(job)).name))
        examples = Examples(panoramas, pool, config.training)
        adapted, progress = adapt_model(model, examples, config.training, checkpoints, config.checkpoint_every, device)
        told = {**kept_of_student(config.model), "height": config.height, "adapted_from": planned["model"]}
        found, files = write_model(job.url, MODEL, adapted, told)
        files |= write_file(job.url, "losses.json", (json.dumps(progress.log, indent=1) + "\n").encode())
        figures = {"steps": progress.step, "panoramas": len(panoramas.places), "pool": len(pool), "model": found}
        return Output(figures=figures, files=files)

    receipt = make_whole(job, train, vocabulary(model), planned, device_name(device))
    for name in files_below(checkpoints):
        remove(join(checkpoints, name))
    return receipt
