"""AP and PQ against what the official Cityscapes scripts said of the same scenes (see record_cityscapes.py)."""

import json

import numpy as np
import pytest

from metrics.seamless.average_precision import detection_counts, joined
from metrics.seamless.panoptic import panoptic_counts
from metrics.seamless.quality import no_counts
from tests.metrics.seamless.record_cityscapes import IMAGES, RECORDED
from tests.metrics.seamless.samples import CLASSES, STUFF, sample

SAMPLES = [sample(seed) for seed in range(IMAGES)]
SAID = json.loads(RECORDED.read_text())


def test_the_scenes_are_those_that_were_recorded() -> None:
    assert [one.digest() for one in SAMPLES] == SAID["digests"], "numpy draws other numbers: record again"


@pytest.mark.parametrize("paper_compat", [False, True])
def test_average_precision_is_that_of_cityscapes(paper_compat: bool) -> None:
    parts = [detection_counts(one.detections, one.true_objects, CLASSES, one.void, paper_compat=paper_compat) for one in SAMPLES]
    expected = np.array(SAID["average_precision"], np.float64)
    assert 0.05 < expected.mean() < 0.95
    np.testing.assert_allclose(joined(parts).per_class()[STUFF:], expected, atol=1e-12)


def test_panoptic_counts_are_those_of_cityscapes() -> None:
    counts = sum((panoptic_counts(one.prediction, one.truth, CLASSES) for one in SAMPLES), no_counts(CLASSES))
    for name, ours in (
        ("iou", counts.iou),
        ("tp", counts.true_positives),
        ("fp", counts.false_positives),
        ("fn", counts.false_negatives),
    ):
        np.testing.assert_allclose(ours, SAID["panoptic"][name], atol=1e-9, err_msg=name)
    assert (counts.true_positives[STUFF:] > 5).all()
    assert (counts.false_positives[STUFF:] > 0).all()
