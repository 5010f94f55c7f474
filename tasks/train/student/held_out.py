"""What a trained student says of panoramas that it did not learn from, beside their labels and, where it is known, the truth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metrics.panorama import evaluate_item
from metrics.protocols import Protocol, for_unit, protocol_named
from metrics.summary import summarise
from tasks.evaluate.evaluate import read_truth, read_truth_classes
from tasks.ingest.observed import Observed, read_observed
from tasks.pages.pictures import panorama_picture
from tasks.predict.predict import Say
from tasks.stage.job import BadItem
from tasks.train.labels.data import TrainingData
from tasks.train.labels.items import ItemSettings, Place, training_item
from tasks.train.student.pictures import comparison_pictures

MOST_JUDGED = 64
MOST_SHOWN = 6
"""Panoramas that are compared, and those of them that are shown."""
CONFIDENCES = ("depth_consistency", "normals_agreement", "semantics_confidence")
PROTOCOL = "panolabel"
"""Of the figures; metrics/protocols.py."""
COMPARISONS = ("student against labels", "student against truth", "labels against truth")
Arrays = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Seen:
    """One panorama with its labels, what the student says of it, the truth, which may be empty, and what was photographed; all
    at the training size."""

    item: str
    image: NDArray[np.uint8]
    labels: Arrays
    said: Arrays
    truth: Arrays
    observed: Observed


def look_at_held_out(say: Say, data: TrainingData) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Compare what a student says with the labels and the truth of panoramas spread over ``data``.

    Returns
    -------
    figures : dict
        ``panoramas`` that were compared, the ``protocol``, and for each of :data:`COMPARISONS` that there is a mapping of the
        report's headline figures to ``value`` and its 95 % interval over panoramas, ``low`` and ``high``.
    shown : list of dict
        ``item`` and ``pictures`` (name -> RGB) of a few of them.
    """
    figures: dict[str, list[dict[str, Any]]] = {name: [] for name in COMPARISONS}
    shown: list[dict[str, Any]] = []
    vocabulary = _truth_classes(data.places)
    for place in _spread(data.places, MOST_JUDGED):
        try:
            seen = _look(say, place, data, read_truth_classes(place.source) == vocabulary)
        except BadItem:  # gone or changed since it was labelled: training skips it too
            continue
        for name, row in _compared(seen, place, data.classes, vocabulary).items():
            figures[name].append(row)
        if len(shown) < MOST_SHOWN:
            pictures = comparison_pictures(panorama_picture(seen.image, seen.observed), seen.labels, seen.said, len(data.classes))
            shown.append({"item": seen.item, "pictures": pictures})
    tables = {name: _headline(rows, vocabulary or data.classes) for name, rows in figures.items() if rows}
    told = "; ".join(sorted({_protocol(place).name for place in data.places}))
    return {"panoramas": len(figures[COMPARISONS[0]]), "protocol": told, **tables}, shown


def _truth_classes(places: Sequence[Place]) -> list[str]:
    """The vocabulary of the truth, of the first store that has any: figures of two vocabularies cannot be pooled."""
    sources = {id(place.stage): place.source for place in places}.values()
    return next((classes for source in sources if (classes := read_truth_classes(source))), [])


def _spread(places: Sequence[Place], most: int) -> list[Place]:
    chosen = np.unique(np.linspace(0, len(places) - 1, min(most, len(places))).astype(int))
    return [places[index] for index in chosen]


def _look(say: Say, place: Place, data: TrainingData, with_truth: bool) -> Seen:
    settings = data.settings.item
    plain = ItemSettings(settings.height, settings.tasks, confidence=False)
    arrays = training_item(place, plain, np.random.default_rng(0))
    observed = read_observed(place.item, place.reading, settings.height)
    said, _ = say(arrays["image"], observed)
    labels = {name: array for name, array in arrays.items() if name != "image"}
    truth = read_truth(place.source, place.item)[0] if with_truth else {}
    return Seen(place.item.item, arrays["image"], labels, said, truth, observed)


def _protocol(place: Place) -> Protocol:
    return for_unit(protocol_named(PROTOCOL), place.block.depth_unit)


def _compared(seen: Seen, place: Place, classes: Sequence[str], true_classes: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Figures of one panorama for each comparison that can be made."""
    protocol = _protocol(place)
    rows = [evaluate_item(seen.said, seen.labels, classes, classes, protocol, observed=seen.observed)]
    if seen.truth:
        sure = np.full(seen.image.shape[:2], 255, np.uint8)  # training asks for no confidence here
        labels = {**seen.labels, **dict.fromkeys(CONFIDENCES, sure)}
        rows += [
            evaluate_item(one, seen.truth, classes, true_classes, protocol, observed=seen.observed) for one in (seen.said, labels)
        ]
    return dict(zip(COMPARISONS, rows))


def _headline(rows: Sequence[dict[str, Any]], classes: Sequence[str]) -> dict[str, dict[str, float | None]]:
    """The report's headline figures of many panoramas, without coverage."""
    found = [row for row in summarise(rows, classes)["headline"] if not row["key"].startswith("coverage.")]
    return {row["figure"]: {key: _rounded(row[key]) for key in ("value", "low", "high")} for row in found}


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)
