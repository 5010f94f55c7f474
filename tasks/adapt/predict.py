"""predict: panorama -> what the source model says of it, all that later stages need. The one stage that runs the source model."""

from __future__ import annotations

from functools import cache, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.seamless.fusion import Detections
from models.seamless.network import Finding
from storage.items import Item
from storage.receipts import Receipt
from tasks.adapt.arrays import classes_within, objects_within, pack_confidence, pack_objects, pack_observed
from tasks.adapt.settings import Found
from tasks.ingest.observed import Observed, observed_of, require_observed
from tasks.ingest.panorama import decoded, load_panorama
from tasks.seamless.model import loaded_model, outside_weights, source_model
from tasks.seamless.vocabulary import BRANCHES, at_height, vocabulary
from tasks.stage.block import run_block
from tasks.stage.devices import device_name, resolve_device
from tasks.stage.job import BadItem, Job, Output
from tasks.stage.kind import Edge, Kind
from tasks.stage.models import MODEL, about_models

VERSION = "3"


PREDICTIONS = "predictions"

KIND = Kind(
    "adapt.predict",
    VERSION,
    Found,
    {"panoramas": Edge("panoramas"), MODEL: Edge(MODEL, outside=True, anywhere=True)},
    PREDICTIONS,
    make="tasks.adapt.predict:predict_block",
    weights=outside_weights,
    facts=decoded,
    network=True,
    check="tasks.adapt.fit:refuse_source_data",
    shows="tasks.adapt.shown:predict",
)


def predict_block(job: Job) -> Receipt:
    """Store the resized pixels, what of them was photographed, class map with confidence, and both branches' detections of every
    panorama of a block. What was not photographed has no class, and no object."""
    settings: Found = job.settings
    device = resolve_device(job.execution.device)
    source = cache(partial(loaded_model, *source_model(job), device))
    if not job.all_copied:
        source()  # before any item is in hand: what is wrong with a model is no item's fault

    def read(_slot: int, item: Item) -> tuple[NDArray[np.uint8], Observed]:
        panorama = load_panorama(item, job.panoramas)
        return at_height(panorama.pixels, settings.height), observed_of(panorama, settings.height)

    def predict_item(_item: Item, inputs: tuple[NDArray[np.uint8], Observed]) -> Output:
        pixels, observed = inputs
        require_observed(observed)
        model = source()
        found = model.network.find(model.normalised(pixels[None]))[0]
        if not all(bool(said.isfinite().all()) for said in (found.confidence, found.instances.scores, found.amodals.scores)):
            raise BadItem("what the source model says of this panorama is NaN or infinite")
        values = predicted(found, observed)
        return Output({"pixels": pixels, **values}, {name: len(values[name].scores) for name in BRANCHES})

    def encode(values: dict[str, Any]) -> dict[str, NDArray]:
        return _encode(values, source().network.settings.branch.limit)

    def about() -> dict[str, Any]:
        return vocabulary(source()) | about_models(job)

    return run_block(job, predict_item, about, job.identity.weights, read, encode, device_name(device))


def predicted(found: Finding, observed: Observed) -> dict[str, Any]:
    """``semantics`` (H, W) uint8, ``confidence`` (H, W) float32, ``observed``, and Detections of both branches by name."""
    values: dict[str, Any] = {
        "semantics": found.semantics.cpu().numpy().astype(np.uint8),
        "confidence": found.confidence.float().cpu().numpy(),
        "observed": observed,
    }
    for name in BRANCHES:
        values[name] = Detections(*(getattr(getattr(found, name), part).cpu().numpy() for part in ("masks", "classes", "scores")))
    if observed is not None:
        values["semantics"] = classes_within(values["semantics"], observed)
        values["confidence"] = np.where(observed, values["confidence"], np.float32(0))
        values |= {name: objects_within(values[name], observed) for name in BRANCHES}
    return values


def _encode(values: dict[str, Any], room: int) -> dict[str, NDArray]:
    semantics = values["semantics"]
    arrays = {
        "pixels": values["pixels"],
        "semantics": semantics,
        "confidence": pack_confidence(values["confidence"]),
        **pack_observed(values["observed"], semantics.shape),
    }
    for name in BRANCHES:
        one: Detections = values[name]
        arrays |= pack_objects(name, one.masks, one.classes, one.scores, room)
    return arrays
