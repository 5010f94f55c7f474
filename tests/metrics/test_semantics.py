"""Semantic figures against torchmetrics and hand-worked matrices."""

import numpy as np
import pytest
import torch
from torchmetrics.classification import MulticlassAccuracy, MulticlassJaccardIndex

from metrics.semantics import class_ious, confusion, semantic_figures, vocabulary_map

CLASSES = 5


def labels(seed: int = 0):
    generator = np.random.default_rng(seed)
    truth = generator.integers(CLASSES, size=(12, 24))
    prediction = np.where(generator.random(truth.shape) < 0.6, truth, generator.integers(CLASSES, size=truth.shape))
    return prediction, truth, generator.random(truth.shape) < 0.7, generator.uniform(0.1, 1, truth.shape)


def test_figures_match_torchmetrics():
    prediction, truth, valid, _ = labels()
    figures = semantic_figures(confusion(prediction, truth, valid, np.ones(truth.shape), CLASSES))
    said, true = torch.from_numpy(prediction[valid]), torch.from_numpy(truth[valid])
    oracles = {
        "miou": MulticlassJaccardIndex(CLASSES, average="macro"),
        "pixel_accuracy": MulticlassAccuracy(CLASSES, average="micro"),
        "mean_accuracy": MulticlassAccuracy(CLASSES, average="macro"),
    }
    for name, oracle in oracles.items():
        assert figures[name] == pytest.approx(float(oracle(said, true)), abs=1e-6), name


def test_confusion_is_the_weighted_count():
    prediction, truth, valid, weights = labels(1)
    matrix = confusion(prediction, truth, valid, weights, CLASSES)
    assert matrix.dtype == np.float64
    for true in range(CLASSES):
        for said in range(CLASSES):
            assert matrix[true, said] == pytest.approx(weights[valid & (truth == true) & (prediction == said)].sum())


def test_unknown_classes_count_as_wrong():
    truth = np.array([0, 0, 1, 1])
    matrix = confusion(np.array([0, -1, 1, -1]), truth, np.ones(4, bool), np.ones(4), 2)
    assert list(semantic_figures(matrix).values()) == pytest.approx([0.5] * 4)
    ignored = confusion(np.array([0, -1, 1, -1]), truth, np.ones(4, bool), np.ones(4), 2, unmatched="ignore")
    assert list(semantic_figures(ignored).values()) == pytest.approx([1] * 4)


def test_classes_absent_from_the_truth_do_not_enter_the_mean():
    matrix = confusion(np.array([0, 0, 2]), np.array([0, 0, 0]), np.ones(3, bool), np.ones(3), 4)
    assert class_ious(matrix) == [pytest.approx(2 / 3), None, None, None]
    assert semantic_figures(matrix)["miou"] == pytest.approx(2 / 3)
    # A class that was only predicted enters the mean over the union as 0; the fourth, seen by nobody, does not.
    assert class_ious(matrix, "union") == [pytest.approx(2 / 3), None, 0, None]
    assert semantic_figures(matrix)["miou_union"] == pytest.approx(1 / 3)


def test_perfect_and_empty():
    _, truth, valid, weights = labels(2)
    assert list(semantic_figures(confusion(truth, truth, valid, weights, CLASSES)).values()) == pytest.approx([1] * 4)
    nothing = semantic_figures(confusion(truth, truth, np.zeros_like(valid), weights, CLASSES))
    assert nothing == dict.fromkeys(["miou", "miou_union", "pixel_accuracy", "mean_accuracy"])


def test_truth_outside_the_vocabulary_does_not_count():
    matrix = confusion(np.array([0, 0]), np.array([0, 255], np.uint8), np.ones(2, bool), np.ones(2), 2)
    assert matrix.sum() == 1


def test_vocabulary_map_is_by_name_whatever_the_case():
    assert vocabulary_map(["Wall", "void", "sky"], ["sky", "floor", "WALL"]).tolist() == [2, -1, 0]
    assert vocabulary_map([], ["sky"]).dtype == np.int64
