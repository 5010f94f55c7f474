"""predict, without the source model: finished labels of teachers in the place of its predictions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from geometry.instances.masks import decode_mask
from models.adaptation.pseudo_labels import IGNORED
from models.seamless.fusion import Detections
from storage.items import Item
from storage.receipts import Receipt
from tasks.adapt.arrays import classes_within, objects_within, pack_confidence, pack_objects, pack_observed
from tasks.adapt.settings import Found
from tasks.ingest.observed import Observed, observed_of, require_observed
from tasks.ingest.panorama import decoded, load_panorama
from tasks.label.fuse import decode_labels
from tasks.label.instances import whole_masks
from tasks.seamless.model import loaded_model, outside_weights, source_model
from tasks.seamless.panorama_truth import class_lookup, resized
from tasks.seamless.vocabulary import BRANCHES, at_height, vocabulary
from tasks.stage.block import run_block
from tasks.stage.job import Job, Output
from tasks.stage.kind import Edge, Kind
from tasks.stage.models import MODEL, about_models
from tasks.stage.upstream import Upstream

VERSION = "2"
KIND = Kind(
    "adapt.predict",
    f"labels {VERSION}",
    Found,
    {
        "panoramas": Edge("panoramas"),
        MODEL: Edge(MODEL, outside=True, anywhere=True),
        "labels": Edge("labels"),
    },
    "predictions",
    make="tasks.adapt.from_labels:translate_block",
    weights=outside_weights,
    facts=decoded,
    network=True,
    check="tasks.adapt.fit:refuse_source_data",
    shows="tasks.adapt.shown:predict",
)


def translate_block(job: Job) -> Receipt:
    """Store the labels of every panorama of a block as if the source model had predicted them."""
    height = job.settings.height
    labelled = Upstream(job, job.input("labels"))
    model = loaded_model(*source_model(job), "cpu")
    lookup = class_lookup(labelled.receipt.about["classes"], model.classes, labelled.stage.key)
    things, room = model.network.settings.things, model.network.settings.branch.limit

    def read(slot: int, item: Item) -> tuple[NDArray[np.uint8], Observed, Mapping[str, NDArray]]:
        panorama = load_panorama(item, job.panoramas)
        return at_height(panorama.pixels, height), observed_of(panorama, height), labelled.item(slot)

    def translate(_item: Item, inputs: tuple[NDArray[np.uint8], Observed, Mapping[str, NDArray]]) -> Output:
        (pixels, observed), labels, size = inputs[:2], decode_labels(inputs[2]), (height, 2 * height)
        require_observed(observed)
        values = {"pixels": pixels, **pack_observed(observed, size), **semantics_of(labels, lookup, size, observed)}
        figures = {}
        for branch, found in zip(BRANCHES, objects_of(labels, lookup, things, room, size)):
            found = found if observed is None else objects_within(found, observed)
            values |= pack_objects(branch, found.masks, found.classes, found.scores, room)
            figures[branch] = len(found.scores)
        return Output(values, figures)

    return run_block(job, translate, vocabulary(model) | about_models(job), job.identity.weights, read)


def semantics_of(
    labels: Mapping[str, NDArray], lookup: NDArray[np.uint8], size: tuple[int, int], observed: Observed = None
) -> dict[str, NDArray]:
    """Class map and confidence (H, W) in the source model's terms: ``IGNORED``, and 0, where the labels say nothing of it.

    Nor do they where nothing was photographed, ``observed`` (H, W) of that size.

    Raises
    ------
    ValueError
        The labels have no semantics.
    """
    if "semantics" not in labels:
        raise ValueError("the labels have no semantics; adapt with labels of a teacher that gives them")
    semantics = np.where(labels["semantics_valid"], lookup[labels["semantics"]], IGNORED).astype(np.uint8)
    said = resized(semantics, size) if observed is None else classes_within(resized(semantics, size), observed)
    confidence = resized(np.asarray(labels["semantics_confidence"]), size).astype(np.float32) / 255
    return {"semantics": said, "confidence": pack_confidence(np.where(said == IGNORED, 0, confidence))}


def objects_of(
    labels: Mapping[str, NDArray], lookup: NDArray[np.uint8], things: Sequence[int], room: int, size: tuple[int, int]
) -> tuple[Detections, Detections]:
    """Visible and whole objects of the Thing classes, the surest ``room`` of them; none where the labels have no instances.

    Parameters
    ----------
    labels : decoded labels
        ``instances`` (h, w) uint16, and its tables of K rows: ``instance_class`` uint16, ``instance_score`` float32.
    lookup : (classes,) uint8
        Class of the labels -> class of the model, or ``IGNORED``.
    things : classes of the model that are Things
    room : int
    size : (H, W)

    Returns
    -------
    two Detections of N objects
        Masks (N, H, W) bool, classes (N,) int64, scores (N,) float32.
    """
    if "instances" not in labels:
        nothing = Detections(np.zeros((0, *size), bool), np.zeros(0, np.int64), np.zeros(0, np.float32))
        return nothing, nothing
    classes = lookup[labels["instance_class"]].astype(np.int64)
    scores = np.clip(np.asarray(labels["instance_score"], np.float32), 0, 1)
    order = np.argsort(-scores, kind="stable")
    chosen = order[np.isin(classes[order], list(things))][:room]
    ids, wholes = np.asarray(labels["instances"]), whole_masks(labels)
    visible = [ids == index + 1 for index in chosen]
    return _sized(visible, classes[chosen], scores[chosen], size), _sized(
        [decode_mask(wholes[index]) for index in chosen], classes[chosen], scores[chosen], size
    )


def _sized(masks: Sequence[NDArray[np.bool_]], classes: NDArray, scores: NDArray, size: tuple[int, int]) -> Detections:
    """Those of which anything is left at that size."""
    stack = np.array([resized(mask.astype(np.uint8), size) for mask in masks], bool).reshape(-1, *size)
    there = stack.any(axis=(1, 2))
    return Detections(stack[there], classes[there], scores[there])
