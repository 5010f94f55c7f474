"""What a source model says of the target's panoramas, and what each way of making pseudo-labels teaches of it, in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.adaptation.object_pool import PoolObject, cut_objects, surest
from models.adaptation.pseudo_labels import Veto, omni_labels, semantic_labels, thing_area
from models.adaptation.thresholds import AMODAL, INSTANCE, SEMANTIC, Rule, ScoreHistogram, class_thresholds, score_histogram
from models.seamless.branch import BranchDetections
from models.seamless.fusion import Detections
from models.seamless.saved import SeamlessModel
from tasks.adapt.arrays import pack_mask, pack_objects, pack_observed
from tasks.adapt.examples import Panoramas, Place
from tasks.seamless.vocabularies import THINGS
from tasks.seamless.vocabulary import BRANCHES

LEAST, PER_CLASS = 0.05, 200


@dataclass(frozen=True, eq=False)
class Predicted:
    """A panorama's pixels (H, W, 3) uint8, class map and confidence (H, W), and both branches' detections."""

    pixels: NDArray[np.uint8]
    semantics: NDArray[np.uint8]
    confidence: NDArray[np.float32]
    instances: Detections
    amodals: Detections


@dataclass(frozen=True)
class Labelling:
    """How predictions become labels.

    ``tuned``: thresholds by eq. 4, else the fixed ones. ``veto``: what semantics do to masks outside of Things, if anything.
    ``uncertain``: what was rejected teaches nothing, else it is background.
    """

    semantic: Rule = SEMANTIC
    instances: Rule = INSTANCE
    amodals: Rule = AMODAL
    tuned: bool = True
    veto: Veto | None = "cut"
    uncertain: bool = True


OMNI = Labelling()
"""As OPLL does."""


class Labelled(Panoramas):
    """Panoramas with their pseudo-labels, in memory instead of in a store."""

    def __init__(self, pixels: Sequence[NDArray[np.uint8]], labels: Sequence[dict[str, NDArray]]) -> None:
        self._pairs = list(zip(pixels, labels, strict=True))
        self.places = [Place("", slot) for slot in range(len(self._pairs))]
        self.things = THINGS

    def read(self, place: Place) -> tuple[NDArray[np.uint8], dict[str, NDArray]]:
        """As :meth:`Panoramas.read`."""
        return self._pairs[place.slot]


def predicted(model: SeamlessModel, pixels: NDArray[np.uint8]) -> Predicted:
    """What the model says of one panorama."""
    found = model.network.find(model.normalised(pixels[None]))[0]
    semantics = found.semantics.numpy().astype(np.uint8)
    return Predicted(pixels, semantics, found.confidence.numpy(), _detections(found.instances), _detections(found.amodals))


def _detections(found: BranchDetections) -> Detections:
    masks = found.masks.numpy()
    drawn = masks.any(axis=(1, 2))
    return Detections(masks[drawn], found.classes.numpy()[drawn], found.scores.numpy()[drawn])


def labelled(given: Sequence[Predicted], labelling: Labelling, classes: int) -> Labelled:
    """The panoramas with labels by thresholds that all of them choose together."""
    limits = {
        part: thresholds(given, part, getattr(labelling, part), classes, labelling.tuned) for part in ("semantic", *BRANCHES)
    }
    return Labelled([one.pixels for one in given], [_labels(one, labelling, limits) for one in given])


def thresholds(given: Sequence[Predicted], part: str, rule: Rule, classes: int, tuned: bool = True) -> NDArray[np.floating]:
    """Thresholds (C,) of a part's predictions, by eq. 4 or all the same."""
    if not tuned:
        return np.full(classes, rule.fixed)
    total = score_histogram(np.zeros(0), np.zeros(0, int), classes)
    for one in given:
        total = total + _histogram(one, part, rule, classes)
    return class_thresholds(total, rule)


def _histogram(one: Predicted, part: str, rule: Rule, classes: int) -> ScoreHistogram:
    if part == "semantic":
        return score_histogram(one.confidence, one.semantics, classes, rule.least)
    found: Detections = getattr(one, part)
    return score_histogram(found.scores, found.classes, classes, rule.least)


def _labels(one: Predicted, labelling: Labelling, limits: dict[str, NDArray[np.floating]]) -> dict[str, NDArray]:
    values: dict[str, NDArray] = {"semantics": semantic_labels(one.semantics, one.confidence, limits["semantic"])}
    values |= pack_observed(None, one.semantics.shape)
    area = np.ones(one.semantics.shape, bool) if labelling.veto is None else thing_area(one.semantics, THINGS)
    for branch in BRANCHES:
        found: Detections = getattr(one, branch)
        labels = omni_labels(found.masks, found.classes, found.scores, area, limits[branch], LEAST, labelling.veto or "cut")
        uncertain = labels.uncertain & labelling.uncertain
        room = max(len(labels.scores), 1)
        values |= pack_objects(branch, labels.masks, labels.classes, labels.scores, room)
        values[f"{branch}_uncertain"] = pack_mask(uncertain)
    return values


def object_pool(given: Sequence[Predicted], rule: Rule, classes: int) -> list[PoolObject]:
    """The surest whole objects, cut to where Things are seen, as the stage ``pool`` cuts them."""
    limits = thresholds(given, "amodals", rule, classes)
    pool: list[PoolObject] = []
    for index, one in enumerate(given):
        found = one.amodals
        real = found.scores >= LEAST
        masks = found.masks[real] & thing_area(one.semantics, THINGS)
        labels, scores = found.classes[real], found.scores[real]
        pool += cut_objects(str(index), one.pixels, masks, labels, scores, scores >= limits[labels])
    return surest(pool, PER_CLASS)
