"""predict, without the source model: finished labels of teachers in the place of its predictions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from configs.adapt import AdaptConfig
from configs.reading import load_config
from configs.settings import ConfigError
from geometry.instances.masks import decode_mask
from models.adaptation.pseudo_labels import IGNORED
from models.seamless.fusion import Detections
from storage.fingerprint import Identity
from storage.manifest import Item
from storage.receipts import Receipt
from tasks.adapt.arrays import classes_within, objects_within, pack_confidence, pack_objects, pack_observed
from tasks.adapt.vocabulary import BRANCHES, adapt_config, at_height, vocabulary
from tasks.ingest import ingest
from tasks.ingest.observed import Observed, observed_of, require_observed
from tasks.label.fuse import decode_labels
from tasks.label.instances import whole_masks
from tasks.seamless.model import loaded_model
from tasks.seamless.panorama_truth import class_lookup, resized
from tasks.stage.block import Job, Output, Upstream, load_panorama, run_block

VERSION = "2"
STAGE = "fuse"
"""The stage of the labelling whose blocks are read."""


def identity(config: AdaptConfig, model: str) -> Identity:
    """What the translated labels depend on; ``model``, the digest of the source model, gives the vocabulary.

    Raises
    ------
    ConfigError
        The labelling's config cannot be used, or its labels go into another store or are of other panoramas.
    """
    assert config.predictions is not None
    labelling = load_config(config.predictions)
    for key, ours, theirs in (
        ("root", config.root, labelling.root),
        ("source", config.source.url, labelling.source.url),
        ("ingest", config.ingest.fingerprinted(), labelling.ingest.fingerprinted()),
        ("block_size", config.block_size, labelling.block_size),
    ):
        if ours != theirs:
            raise ConfigError(
                f"predictions: {config.predictions} has another {key} than this adaptation; both must have the same"
            )
    from tasks.pipeline import stages  # here, since it lists adaptations too

    labels = next(stage.identity for stage in stages(labelling) if stage.name == STAGE)
    upstream = {"ingest": ingest.identity(config).fingerprint, STAGE: labels.fingerprint}
    return Identity("predict", f"labels {VERSION}", {"height": config.height}, {"model": model}, upstream)


def translate_block(job: Job) -> Receipt:
    """Store the labels of every panorama of a block as if the source model had predicted them."""
    config = adapt_config(job)
    labelled = Upstream(job, STAGE)
    planned = dict(job.identity.weights)
    model = loaded_model(config.model, planned["model"], "cpu")
    lookup = class_lookup(labelled.receipt.about["classes"], model.classes, config.predictions or "")
    things, room = model.network.settings.things, model.network.settings.branch.limit

    def read(slot: int, item: Item) -> tuple[NDArray[np.uint8], Observed, Mapping[str, NDArray]]:
        panorama = load_panorama(item, config)
        return at_height(panorama.pixels, config.height), observed_of(panorama, config.height), labelled.item(slot)

    def translate(_item: Item, inputs: tuple[NDArray[np.uint8], Observed, Mapping[str, NDArray]]) -> Output:
        (pixels, observed), labels, size = inputs[:2], decode_labels(inputs[2]), (config.height, 2 * config.height)
        require_observed(observed)
        values = {"pixels": pixels, **pack_observed(observed, size), **semantics_of(labels, lookup, size, observed)}
        figures = {}
        for branch, found in zip(BRANCHES, objects_of(labels, lookup, things, room, size)):
            found = found if observed is None else objects_within(found, observed)
            values |= pack_objects(branch, found.masks, found.classes, found.scores, room)
            figures[branch] = len(found.scores)
        return Output(values, figures)

    return run_block(job, translate, vocabulary(model), planned, read)


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
