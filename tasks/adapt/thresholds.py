"""thresholds: histograms of all blocks -> one threshold for each class and branch, one block for the whole data set."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.adaptation.thresholds import Rule, class_thresholds
from storage.about import common_about
from storage.receipts import Receipt
from tasks.adapt.scores import PARTS, added_histograms
from tasks.adapt.settings import OmniLabels, ThresholdRule
from tasks.stage.block import make_whole
from tasks.stage.grain import blocks_behind, of_block
from tasks.stage.job import Job, Output
from tasks.stage.kind import Edge, Inputs, Kind
from tasks.stage.upstream import open_block

VERSION = "1"


def _says(settings: OmniLabels, _inputs: Inputs) -> dict[str, Any]:
    return settings.fingerprinted(exclude=("veto",))


KIND = Kind(
    "thresholds",
    VERSION,
    OmniLabels,
    {"scores": Edge("scores")},
    "thresholds",
    make="tasks.adapt.thresholds:thresholds_block",
    grain="all",
    says=_says,
    shows="tasks.adapt.shown:thresholds",
    summary="tasks.adapt.shown:thresholds_summary",
)


def thresholds_block(job: Job) -> Receipt:
    """Store ``thresholds`` (parts, classes) float64 and ``predictions``, how many each class has, int64."""
    scores = job.input("scores")
    about = common_about(open_block(scores, of_block(name).name)[1] for name in blocks_behind(job))

    def choose() -> Output:
        parts = [class_rule(job, part, getattr(job.settings, part)) for part in PARTS]
        thresholds, counts = (np.stack(values) for values in zip(*parts))
        tables = {part: table(about["classes"], values, count) for part, values, count in zip(PARTS, thresholds, counts)}
        return Output({"thresholds": thresholds, "predictions": counts}, tables)

    return make_whole(job, choose, about)


def class_rule(job: Job, part: str, settings: ThresholdRule) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Thresholds (C,) by eq. 4 over all panoramas, and the number (C,) of predictions that they are chosen from."""
    histogram = added_histograms(job, part, settings.least)
    rule = Rule(settings.fixed, settings.share, settings.least)
    return np.asarray(class_thresholds(histogram, rule), np.float64), histogram.counts.sum(axis=1)


def table(classes: list[str], thresholds: NDArray[np.floating], counts: NDArray[np.integer]) -> dict[str, dict[str, float]]:
    """Thresholds (C,) float and numbers (C,) int of predictions, by name, of the classes that were predicted; for the report."""
    return {
        name: {"threshold": float(threshold), "predictions": int(count)}
        for name, threshold, count in zip(classes, thresholds, counts)
        if count
    }
