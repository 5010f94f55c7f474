"""Panoptic quality of fused labels: vocabularies by name, crops, labels without stuff, and many panoramas together."""

import json

import numpy as np
import pytest

from metrics.panorama import evaluate_item
from metrics.protocols import protocol_named
from metrics.summary import summarise

TRUTH_CLASSES = ["floor", "wall", "chair"]
LABEL_CLASSES = ["Chair", "wall", "floor", "lava"]
HEIGHT, WIDTH = 20, 40


def truth_with(*chairs: tuple[slice, slice]) -> dict[str, np.ndarray]:
    semantics, instances = np.zeros((HEIGHT, WIDTH), np.uint8), np.zeros((HEIGHT, WIDTH), np.uint16)
    semantics[:10] = 1
    for number, chair in enumerate(chairs, start=1):
        semantics[chair], instances[chair] = 2, number
    return {"semantics": semantics, "instances": instances}


def labels_like(truth: dict[str, np.ndarray], **changes) -> dict[str, np.ndarray]:
    classes = np.array([2, 1, 0], np.uint8)[truth["semantics"]]
    full = np.full(classes.shape, 255, np.uint8)
    return {
        "panoptic": classes,
        "panoptic_valid": np.ones(classes.shape, bool),
        "instances": truth["instances"] * 3,
        "semantics": classes,
        "semantics_valid": np.ones(classes.shape, bool),
        "semantics_confidence": full,
        "views": full,
        **changes,
    }


def evaluate(labels, truth, protocol="panolabel", things=("chair",)):
    return evaluate_item(labels, truth, LABEL_CLASSES, TRUTH_CLASSES, protocol_named(protocol), things)


CHAIR = np.s_[8:12, 10:16]
POLE = np.s_[0:2, :]


def test_perfect_labels_and_a_missed_chair():
    truth = truth_with(CHAIR, np.s_[14:16, 2:5])
    figures = evaluate(labels_like(truth), truth)["panoptic"]
    assert [figures[name] for name in ("pq", "sq", "rq", "pq_things", "pq_stuff", "pq_pixels", "objects")] == [1] * 7
    assert figures["objects_seam"] is None
    json.dumps(figures, allow_nan=False)
    missed = labels_like(truth)
    missed["instances"] = np.where(missed["instances"] == 6, 0, missed["instances"])
    assert evaluate(missed, truth)["panoptic"]["objects"] == pytest.approx(1 / 1.5)


def test_rows_that_a_protocol_crops_are_void():
    truth = truth_with(CHAIR, POLE)
    labels = labels_like(truth)
    labels["instances"][POLE] = np.arange(WIDTH) + 10  # nonsense at the pole
    assert evaluate(labels, truth)["panoptic"]["objects_pole"] < 0.1
    cropped = evaluate(labels, truth, "pager_scale_matterport3d360")["panoptic"]
    assert cropped["pq"] == pytest.approx(1)
    assert cropped["objects_pole"] is None


def test_a_class_that_the_truth_does_not_know_is_missing_there():
    truth = truth_with(CHAIR)
    labels = labels_like(truth, panoptic=labels_like(truth)["panoptic"].copy())
    labels["panoptic"][10:] = np.where(truth["semantics"][10:] == 0, 3, labels["panoptic"][10:])
    figures = evaluate(labels, truth)["panoptic"]
    assert figures["pq_stuff"] == pytest.approx(0.5)
    assert figures["pq_things"] == pytest.approx(1)


def test_without_semantics_only_things_are_measured():
    truth = truth_with(CHAIR)
    labels = labels_like(truth, panoptic_valid=truth["instances"] > 0)
    for name in ("semantics", "semantics_valid", "semantics_confidence"):
        del labels[name]
    figures = evaluate(labels, truth)["panoptic"]
    assert (figures["pq"], figures["pq_stuff"]) == (1, None)


def test_no_truth_of_things_no_figure():
    truth = truth_with(CHAIR)
    assert "panoptic" not in evaluate(labels_like(truth), truth, things=())
    assert "panoptic" not in evaluate(labels_like(truth), {"semantics": truth["semantics"]})


def test_labels_of_another_size():
    truth = truth_with(CHAIR)
    coarse = {name: array[1::2, 1::2] for name, array in labels_like(truth).items()}
    assert evaluate(coarse, truth)["panoptic"]["pq"] == pytest.approx(1)


def test_panoramas_are_pooled_segment_by_segment():
    whole, half = truth_with(CHAIR), truth_with(CHAIR, np.s_[14:18, 20:30], np.s_[14:18, 32:38])
    labels = labels_like(half)
    labels["instances"] = np.where(labels["instances"] == 3, 3, 0)
    items = [evaluate(labels_like(whole), whole), evaluate(labels, half)]
    summary = summarise(items, TRUTH_CLASSES)
    rows = {row["figure"]: row for row in summary["figures"]}
    assert rows["PQ, objects of all classes"]["value"] == pytest.approx(2 / (2 + 0.5 * 2))
    assert rows["PQ, objects of all classes"]["over_images"] == pytest.approx((1 + 1 / 2) / 2)
    assert rows["PQ, objects of all classes"]["low"] <= 2 / 3 <= rows["PQ, objects of all classes"]["high"]
    assert "PQ, objects over the seam" not in rows
