"""adapt: source model, pseudo-labels and object pool -> adapted model. It is given no truth and no source data."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from models.seamless.saved import SeamlessModel
from storage.entries import write_file
from storage.receipts import Receipt
from storage.urls import files_below, join, remove
from tasks.adapt.examples import Examples, Panoramas
from tasks.adapt.fit import refuse_pinholes
from tasks.adapt.pool import read_pool
from tasks.adapt.settings import Learning
from tasks.adapt.training import adapt_model
from tasks.seamless.model import outside_weights, read_model, source_model, write_model
from tasks.seamless.student_model import kept_of_student
from tasks.seamless.vocabulary import vocabulary
from tasks.stage.attempts.stopping import asked_to_stop
from tasks.stage.block import make_whole
from tasks.stage.devices import device_name, resolve_device
from tasks.stage.job import Job, Output
from tasks.stage.kind import Edge, Inputs, Kind
from tasks.stage.models import MODEL, about_models
from tasks.stage.upstream import open_block
from tasks.train.processes import in_processes
from tasks.train.progress import Log, telling_of

VERSION = "4"
LINES = 20
"""Lines that are said of a training while it goes on."""


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
    fits=refuse_pinholes,
    check="tasks.adapt.fit:refuse_misfit",
    looks="tasks.adapt.fit:look_at_model",
    shows="tasks.adapt.shown:adapt",
    summary="tasks.adapt.shown:adapt_summary",
)


@dataclass(frozen=True)
class Learned:
    """An adapted model, its losses, and how much it learned from."""

    model: SeamlessModel
    losses: list[dict[str, float]]
    panoramas: int
    pool: int


def adapt_block(job: Job, stop: Callable[[], bool] = asked_to_stop) -> Receipt:
    """Train, from the newest checkpoint on, and store the folder of the model and its losses; then drop the checkpoints.

    Raises
    ------
    Stopped, Diverged
        As :func:`tasks.train.loop.train`.
    """
    settings: Learning = job.settings
    source, digest = source_model(job)

    def train() -> Output:
        log, device = telling_of(settings.steps, max(settings.steps // LINES, 1)), job.execution.device
        learned: Learned = in_processes(settings.processes, "tasks.adapt.adapt:learn", job, log, stop, device)
        told = {**kept_of_student(source), "height": settings.height, "adapted_from": digest}
        found, files = write_model(job.url, MODEL, learned.model, told)
        files |= write_file(job.url, "losses.json", (json.dumps(learned.losses, indent=1) + "\n").encode())
        figures = {"steps": settings.steps, "panoramas": learned.panoramas, "pool": learned.pool, "model": found}
        return Output(figures=figures, files=files)

    about = vocabulary(read_model(source, digest)) | about_models(job)
    receipt = make_whole(job, train, about, job.identity.weights, device_name(resolve_device(job.execution.device)))
    for name in files_below(job.checkpoints):
        remove(join(job.checkpoints, name))
    return receipt


def learn(job: Job, log: Log, stop: Callable[[], bool]) -> Learned:
    """Train, as one process or as one of several; see :func:`tasks.train.processes.in_processes`."""
    settings: Learning = job.settings
    model, panoramas = read_model(*source_model(job)), Panoramas(job)
    pool = [one for stage in job.stage.stages("pool") for one in read_pool(*open_block(stage, job.block.name))]
    examples, device = Examples(panoramas, pool, settings), resolve_device(job.execution.device)
    adapted, losses = adapt_model(model, examples, settings, job.checkpoints, settings.checkpoint_every, device, log, stop)
    return Learned(adapted, losses, len(panoramas.places), len(pool))
