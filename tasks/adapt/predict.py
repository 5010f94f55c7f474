"""predict: panorama -> what the source model says of it, all that later stages need. The one stage that runs the source model."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from configs.adapt import AdaptConfig
from models.seamless.branch import BranchDetections
from models.seamless.network import Finding
from models.seamless.saved import SeamlessModel
from storage.fingerprint import Identity
from storage.manifest import Item
from storage.receipts import Receipt
from tasks import ingest
from tasks.adapt.arrays import pack_confidence, pack_objects
from tasks.adapt.model import loaded_model
from tasks.block import Job, Output, load_panorama, run_block
from tasks.devices import device_name, resolve_device

VERSION = "1"
BRANCHES = ("instances", "amodals")


def identity(config: AdaptConfig, model: str) -> Identity:
    """What predictions depend on; ``model`` is the digest of the source model."""
    own = {"height": config.height}
    return Identity("predict", VERSION, own, {"model": model}, {"ingest": ingest.identity(config).fingerprint})


def predict_block(job: Job) -> Receipt:
    """Store the resized pixels, class map with confidence, and both branches' detections of every panorama of a block."""
    config = adapt_config(job)
    device = resolve_device(config.execution.device)
    planned = dict(job.identity.weights)
    model = loaded_model(config.model, planned["model"], device)

    def read(_slot: int, item: Item) -> NDArray[np.uint8]:
        return at_height(load_panorama(item, config), config.height)

    def predict_item(_item: Item, pixels: NDArray[np.uint8]) -> Output:
        found = model.network.find(model.normalised(pixels[None]))[0]
        figures = {name: len(getattr(found, name).scores) for name in BRANCHES}
        return Output({"pixels": pixels, "found": found}, figures)

    encode = partial(_encode, room=model.network.settings.branch.limit)
    return run_block(job, predict_item, vocabulary(model), planned, read, encode, device_name(device))


def adapt_config(job: Job) -> AdaptConfig:
    """The job's config, which is that of an adaptation."""
    assert isinstance(job.config, AdaptConfig)
    return job.config


def at_height(panorama: NDArray[np.uint8], height: int) -> NDArray[np.uint8]:
    """A panorama (h, w, 3) as (height, 2 * height, 3), each pixel the mean of what it covers."""
    if panorama.shape[:2] == (height, 2 * height):
        return panorama
    method = cv2.INTER_AREA if panorama.shape[0] > height else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(panorama, (2 * height, height), interpolation=method), np.uint8)


def vocabulary(model: SeamlessModel) -> dict[str, Any]:
    """Names of all classes, and the range of the Things among them, for receipts."""
    things = model.network.settings.things
    return {"classes": list(model.classes), "things": [things.start, things.stop]}


def things_of(about: Mapping[str, Any]) -> range:
    """The Thing classes that :func:`vocabulary` noted."""
    return range(*about["things"])


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
