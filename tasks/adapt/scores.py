"""scores: the predictions of a block -> histograms of their scores by class, which know of no threshold."""

from __future__ import annotations

from functools import reduce
from operator import add

import numpy as np

from models.adaptation.thresholds import ScoreHistogram, score_histogram
from storage.receipts import Receipt
from tasks.adapt.arrays import unpack_confidence, unpack_scores
from tasks.seamless.vocabulary import BRANCHES, vocabulary_in
from tasks.stage.block import make_whole
from tasks.stage.grain import blocks_behind, of_block
from tasks.stage.job import Job, Output
from tasks.stage.kind import Edge, Kind, Nothing
from tasks.stage.upstream import open_block, read_items

VERSION = "1"
PARTS = ("semantic", *BRANCHES)
"""Whose scores are counted, in the order of the stored array's rows."""


KIND = Kind(
    "scores",
    VERSION,
    Nothing,
    {"predictions": Edge("predictions")},
    "scores",
    make="tasks.adapt.scores:scores_block",
    grain="derived",
    shows="tasks.adapt.shown:scores",
)


def scores_block(job: Job) -> Receipt:
    """Store ``histograms`` (parts, classes, bins) int64 of all panoramas of the block that this one stands for."""
    (name,) = blocks_behind(job)
    predicted = job.input("predictions")
    about = vocabulary_in(open_block(predicted, name)[1].about)
    classes = len(about["classes"])

    def count() -> Output:
        total = np.zeros((len(PARTS), classes, score_histogram(np.zeros(0), np.zeros(0, int), 1).counts.shape[1]), np.int64)
        wanted = [f"{branch}_{what}" for branch in BRANCHES for what in ("classes", "scores")]
        panoramas = 0
        for _, arrays in read_items(predicted, name, "semantics", "confidence", *wanted):
            panoramas += 1
            total[0] += score_histogram(unpack_confidence(arrays["confidence"]), arrays["semantics"], classes).counts
            for row, branch in enumerate(BRANCHES, 1):
                labels, scores = unpack_scores(branch, arrays)
                total[row] += score_histogram(scores, labels, classes).counts
        return Output({"histograms": total}, {"panoramas": panoramas})

    return make_whole(job, count, about)


def added_histograms(job: Job, part: str, least: float) -> ScoreHistogram:
    """Of all panoramas that the job's block stands for; scores below ``least`` do not count.

    One block's histograms are in memory at a time.
    """
    row = PARTS.index(part)
    each = (
        ScoreHistogram(arrays["histograms"][row])
        for name in blocks_behind(job)
        for _, arrays in read_items(job.input("scores"), of_block(name).name)
    )
    total = reduce(add, each).counts
    # Bins that lie below altogether; a score in the bin of ``least`` itself counts.
    total[:, : int(least * total.shape[1])] = 0
    return ScoreHistogram(total)
