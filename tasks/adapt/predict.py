"""predict: panorama -> what the source model says of it, all that later stages need. The one stage that runs the source model."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from configs.adapt import AdaptConfig
from models.seamless.branch import BranchDetections
from models.seamless.network import Finding
from storage.fingerprint import Identity
from storage.manifest import Item
from storage.receipts import Receipt
from tasks import ingest
from tasks.adapt import from_labels
from tasks.adapt.arrays import pack_confidence, pack_objects
from tasks.adapt.model import loaded_model
from tasks.adapt.vocabulary import BRANCHES, adapt_config, at_height, vocabulary
from tasks.block import BadItem, Job, Output, load_panorama, run_block
from tasks.devices import device_name, resolve_device

VERSION = "2"


def identity(config: AdaptConfig, model: str) -> Identity:
    """What predictions depend on; ``model`` is the digest of the source model."""
    if config.predictions is not None:
        return from_labels.identity(config, model)
    own = {"height": config.height}
    return Identity("predict", VERSION, own, {"model": model}, {"ingest": ingest.identity(config).fingerprint})


def predict_block(job: Job) -> Receipt:
    """Store the resized pixels, class map with confidence, and both branches' detections of every panorama of a block."""
    if from_labels.STAGE in job.identity.upstream:
        return from_labels.translate_block(job)
    config = adapt_config(job)
    device = resolve_device(config.execution.device)
    planned = dict(job.identity.weights)
    model = loaded_model(config.model, planned["model"], device)

    def read(_slot: int, item: Item) -> NDArray[np.uint8]:
        return at_height(load_panorama(item, config).pixels, config.height)

    def predict_item(_item: Item, pixels: NDArray[np.uint8]) -> Output:
        found = model.network.find(model.normalised(pixels[None]))[0]
        if not all(bool(said.isfinite().all()) for said in (found.confidence, found.instances.scores, found.amodals.scores)):
            raise BadItem("what the source model says of this panorama is NaN or infinite")
        figures = {name: len(getattr(found, name).scores) for name in BRANCHES}
        return Output({"pixels": pixels, "found": found}, figures)

    encode = partial(_encode, room=model.network.settings.branch.limit)
    return run_block(job, predict_item, vocabulary(model), planned, read, encode, device_name(device))


def _encode(values: dict[str, Any], room: int) -> dict[str, NDArray]:
    found: Finding = values["found"]
    arrays = {
        "pixels": values["pixels"],
        "semantics": found.semantics.cpu().numpy().astype(np.uint8),
        "confidence": pack_confidence(found.confidence.float().cpu().numpy()),
    }
    for name in BRANCHES:
        one: BranchDetections = getattr(found, name)
        masks, classes, scores = (part.cpu().numpy() for part in (one.masks, one.classes, one.scores))
        arrays |= pack_objects(name, masks, classes, scores, room)
    return arrays
