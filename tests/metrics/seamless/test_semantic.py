"""mIoU against torchmetrics, with ignored truth and absent classes."""

import numpy as np
import pytest
import torch
from torchmetrics.classification import MulticlassJaccardIndex

from metrics.seamless.semantic import miou, semantic_counts


def test_miou_over_images_is_that_of_torchmetrics() -> None:
    generator = np.random.default_rng(0)
    truth = generator.integers(0, 18, (3, 20, 40))
    prediction = np.where(generator.random(truth.shape) < 0.5, truth, generator.integers(0, 18, truth.shape))
    truth[generator.random(truth.shape) < 0.2] = 255
    counts = sum(semantic_counts(said, true, 18) for said, true in zip(prediction, truth))
    oracle = MulticlassJaccardIndex(18, ignore_index=255)
    assert miou(counts)[0] == pytest.approx(float(oracle(torch.from_numpy(prediction), torch.from_numpy(truth))), abs=1e-6)


def test_absent_classes_and_ignored_pixels() -> None:
    mean, each = miou(semantic_counts(np.array([[0, 0, 1, 2]]), np.array([[0, 0, 0, 255]]), 4))
    assert each == [pytest.approx(2 / 3), 0.0, None, None], "1 was invented; 2 was said only where nobody looks"
    assert mean == pytest.approx(1 / 3)
    assert miou(semantic_counts(np.array([[0]]), np.array([[255]]), 4)) == (None, [None] * 4)
