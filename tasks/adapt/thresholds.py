"""thresholds: histograms of all blocks -> one threshold for each class and branch, one block for the whole data set."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from configs.adapt import AdaptConfig, ThresholdRule
from models.adaptation.thresholds import Rule, class_thresholds
from storage.about import common_about
from storage.fingerprint import Identity
from storage.receipts import Receipt
from tasks.adapt.scores import PARTS, added_histograms
from tasks.adapt.vocabulary import adapt_config
from tasks.stage.block import Job, Output
from tasks.stage.grain import blocks_behind, make_whole, of_block, open_block

VERSION = "1"


def identity(config: AdaptConfig, scores: str) -> Identity:
    """What the thresholds depend on; ``scores`` is a fingerprint."""
    return Identity("thresholds", VERSION, config.omni.fingerprinted(exclude=("veto",)), upstream={"scores": scores})


def thresholds_block(job: Job) -> Receipt:
    """Store ``thresholds`` (parts, classes) float64 and ``predictions``, how many each class has, int64."""
    config = adapt_config(job)
    about = common_about(open_block(job, "scores", of_block(name).name)[1] for name in blocks_behind(job))

    def choose() -> Output:
        parts = [class_rule(job, part, getattr(config.omni, part)) for part in PARTS]
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
