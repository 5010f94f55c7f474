"""compare: source model and adapted model against truth, where there is any -> counts of the five metrics, block by block."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from configs.settings import ConfigError
from metrics.seamless.suite import SeamlessLabels, SuiteCounts, from_arrays, merged, suite_counts
from models.seamless.fusion import Detections, FusionRule
from models.seamless.saved import SeamlessModel
from storage.about import common_about
from storage.entries import Entries, write_file
from storage.receipts import Receipt
from storage.urls import join, read_bytes
from tasks.adapt.arrays import unpack_objects, unpack_observed
from tasks.adapt.predict import predicted
from tasks.adapt.settings import Scoring
from tasks.evaluate.evaluate import truth_of
from tasks.seamless.found import found_labels
from tasks.seamless.model import loaded_model, source_model
from tasks.seamless.panorama_truth import truth_source
from tasks.seamless.vocabulary import BRANCHES, things_of, vocabulary_in
from tasks.stage.block import make_whole
from tasks.stage.devices import device_name, resolve_device
from tasks.stage.grain import blocks_behind
from tasks.stage.job import BadItem, Job, Output
from tasks.stage.kind import Edge, Inputs, Kind, Stage, stages_of
from tasks.stage.models import MODEL, about_models
from tasks.stage.upstream import open_block, read_items

VERSION = "3"
ARMS = ("source", "adapted")

Said = tuple[np.ndarray, Detections, Detections]
"""Class map (H, W), and the detections of both branches."""


def _says(settings: Scoring, inputs: Inputs) -> dict[str, Any]:
    (predictions,) = stages_of(inputs, "predictions")
    return {**settings.fingerprinted(), "truth": truth_of(predictions.origin.settings.source)}


def _with_truth(stage: Stage) -> None:
    if stage.origin.settings.source.truth is None:
        raise ConfigError(
            f"stages.{stage.key}: there is no truth to compare with; give stages.{stage.origin.key}.source.truth, "
            "or drop the stage"
        )


KIND = Kind(
    "compare",
    VERSION,
    Scoring,
    {"predictions": Edge("predictions"), MODEL: Edge(MODEL, anywhere=True)},
    "comparison",
    make="tasks.adapt.compare:compare_block",
    grain="derived",
    says=_says,
    network=True,
    fits=_with_truth,
    shows="tasks.adapt.shown:compare",
    summary="tasks.adapt.shown:compare_summary",
)


def compare_block(job: Job) -> Receipt:
    """Store ``counts-source.npz`` and ``counts-adapted.npz`` of the panoramas of a block that have truth."""
    predicted_by, scoring = job.input("predictions"), job.settings
    (name,) = blocks_behind(job)
    about = vocabulary_in(open_block(predicted_by, name)[1].about)
    device, height = resolve_device(job.execution.device), predicted_by.settings.height
    truth_at = truth_source(job.source.truth, about["classes"], things_of(about))
    model = loaded_model(*source_model(job), device)

    def compare() -> Output:
        counts: dict[str, list[SuiteCounts]] = {arm: [] for arm in ARMS}
        unread: dict[str, str] = {}
        for item, arrays in read_items(predicted_by, name):
            try:
                truth = truth_at.read(item, height, unpack_observed(arrays))
            except BadItem as error:  # of this panorama alone: the others are compared
                unread[item] = str(error)
                continue
            if truth is None:
                continue
            pairs: dict[str, Said] = {"source": said_of(arrays), "adapted": found_by(model, arrays)}
            for arm, said in pairs.items():
                maps = fused(*said, truth_at.things, scoring)
                counts[arm].append(suite_counts(maps, truth, len(about["classes"])))
        files: Entries = {}
        for arm, parts in counts.items():
            if parts:
                files |= write_file(job.url, f"counts-{arm}.npz", _packed(merged(parts)))
        return Output(figures={"panoramas": len(counts["source"])} | ({"given_up": unread} if unread else {}), files=files)

    return make_whole(job, compare, about | about_models(job), device=device_name(device))


def said_of(predicted: Mapping[str, np.ndarray]) -> Said:
    """What the stage ``predict`` stored of one panorama: the class map (H, W) uint8, and the detections of both branches."""
    semantics = predicted["semantics"]
    instances, amodals = (unpack_objects(branch, predicted, semantics.shape[1]) for branch in BRANCHES)
    return semantics, instances, amodals


def found_by(model: SeamlessModel, shown: Mapping[str, np.ndarray]) -> Said:
    """What a model says of the pixels of one panorama that were photographed.

    Parameters
    ----------
    model : SeamlessModel
    shown : arrays of the stage ``predict``
        ``pixels`` (H, W, 3) uint8, and ``observed`` (H, ceil(W / 8)) uint8 with the ``semantics`` (H, W) that it belongs to.
    """
    found = model.network.find(model.normalised(shown["pixels"][None]))[0]
    values = predicted(found, unpack_observed(shown))
    return values["semantics"], *(values[branch] for branch in BRANCHES)


def fused(semantics: np.ndarray, instances: Detections, amodals: Detections, things: range, scoring: Scoring) -> SeamlessLabels:
    """The five maps of one panorama, from what the three heads say; ``semantics`` (H, W) uint8, masks (N, H, W) bool."""
    rule = FusionRule(things, scoring.instance_score, scoring.amodal_score, scoring.least_stuff)
    return found_labels(semantics, instances, amodals, rule)


def _packed(counts: SuiteCounts) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **counts.arrays())
    return buffer.getvalue()


def figures(compared: Sequence[tuple[str, Receipt]]) -> dict[str, dict[str, Any]]:
    """The metrics of all panoramas, by model, from URLs and receipts of the stage's blocks; empty without truth."""
    found: dict[str, dict[str, Any]] = {}
    for arm in ARMS:
        name = f"counts-{arm}.npz"
        parts = []
        for url, receipt in compared:
            if name in receipt.files:
                with np.load(io.BytesIO(read_bytes(join(url, name))), allow_pickle=False) as arrays:
                    parts.append(from_arrays(dict(arrays)))
        if parts:
            found[arm] = dict(merged(parts).figures(things_of(common_about(receipt for _, receipt in compared))))
    return found
