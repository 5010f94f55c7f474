"""adapt: source model, pseudo-labels and object pool -> adapted model. It is given no truth and no source data."""

from __future__ import annotations

import json
from typing import Any

from storage.receipts import Receipt, write_file
from storage.urls import files_below, join, remove
from tasks.adapt.examples import Examples, Panoramas
from tasks.adapt.pool import read_pool
from tasks.adapt.settings import Learning
from tasks.adapt.training import adapt_model
from tasks.adapt.vocabulary import vocabulary
from tasks.seamless.model import outside_weights, read_model, source_model, write_model
from tasks.stage.block import make_whole
from tasks.stage.devices import device_name, resolve_device
from tasks.stage.job import Job, Output
from tasks.stage.kind import Edge, Inputs, Kind
from tasks.stage.models import MODEL, about_models
from tasks.stage.upstream import open_block

VERSION = "3"


def _says(settings: Learning, _inputs: Inputs) -> dict[str, Any]:
    own = {name: value for name, value in settings.fingerprinted().items() if value or name not in ("anchor", "classmix")}
    return {name: value for name, value in own.items() if name != "pasted" or own["mixing"] != "none"}


KIND = Kind(
    "adapt",
    VERSION,
    Learning,
    {
        "predictions": Edge("predictions"),
        "labels": Edge("omni labels"),
        "pool": Edge("pool", maybe=True),  # without mixing there is none
        MODEL: Edge(MODEL, outside=True, anywhere=True),
    },
    MODEL,
    make="tasks.adapt.adapt:adapt_block",
    grain="all",
    says=_says,
    weights=outside_weights,
    network=True,
    check="tasks.adapt.fit:refuse_misfit",
)


def adapt_block(job: Job) -> Receipt:
    """Train, from the newest checkpoint on, and store the folder of the model and its losses; then drop the checkpoints."""
    settings: Learning = job.settings
    device = resolve_device(job.execution.device)
    source, digest = source_model(job)
    model = read_model(source, digest)
    checkpoints = join(job.stage.root, "checkpoints", job.identity.fingerprint, job.block.name)

    def train() -> Output:
        panoramas = Panoramas(job)
        pool = [one for stage in job.stage.stages("pool") for one in read_pool(*open_block(stage, job.block.name))]
        examples = Examples(panoramas, pool, settings)
        adapted, progress = adapt_model(model, examples, settings, checkpoints, settings.checkpoint_every, device)
        found, files = write_model(job.url, MODEL, adapted, {"height": settings.height, "adapted_from": digest})
        files |= write_file(job.url, "losses.json", (json.dumps(progress.log, indent=1) + "\n").encode())
        figures = {"steps": progress.step, "panoramas": len(panoramas.places), "pool": len(pool), "model": found}
        return Output(figures=figures, files=files)

    about = vocabulary(model) | about_models(job)
    receipt = make_whole(job, train, about, job.identity.weights, device_name(device))
    for name in files_below(checkpoints):
        remove(join(checkpoints, name))
    return receipt
