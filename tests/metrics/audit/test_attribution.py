"""The parts of an error add up, whatever the errors are."""

import numpy as np
import pytest

from metrics.audit.attribution import COLUMNS, LEVELS, PARTS, class_overlap, level_errors, missing_iou, parts
from metrics.semantics import confusion, semantic_figures


def test_the_parts_add_up_to_the_error_of_the_fused_labels() -> None:
    levels = np.random.default_rng(0).random((50, len(LEVELS))) * 10
    found = dict(zip(PARTS, parts(levels).T))
    np.testing.assert_allclose(
        found["floor"] + found["teacher"] + found["way_back"] + found["fusion"], levels[:, LEVELS.index("fused")], atol=1e-12
    )
    np.testing.assert_array_equal(found["total"], levels[:, LEVELS.index("fused")])


def test_a_teacher_that_says_what_the_truth_says_leaves_the_floor_alone() -> None:
    lost, floor = 0.02, 0.013
    levels = {"patch": 0.0, "single": lost, "single_truth": lost, "floor": floor, "fused": floor}
    found = parts(np.array([levels[name] for name in LEVELS]))
    np.testing.assert_array_equal(found, [floor, 0, 0, 0, floor])


def test_bands_and_panoramas_add_up_to_the_whole() -> None:
    sums = np.random.default_rng(1).random((3, 4, len(COLUMNS)))  # panoramas, bands
    sums[1, 2] = 0  # a band that one panorama lacks
    whole, by_band = level_errors(sums.sum(axis=(0, 1))), level_errors(sums.sum(axis=0))
    for level, weight in zip(range(len(LEVELS)), (0, 2, 2, 2, 2)):
        share = sums.sum(axis=0)[:, weight] / sums[..., weight].sum()
        assert (share * by_band[:, level]).sum() == pytest.approx(whole[level])
    assert np.isnan(level_errors(sums)[1, 2]).all()


def test_missing_iou_is_what_the_confusion_matrix_says() -> None:
    generator = np.random.default_rng(2)
    true, weights = generator.integers(0, 5, 400), generator.random(400)
    said = np.where(generator.random(400) < 0.6, true, generator.integers(-1, 6, 400))
    matrix = confusion(said, true, np.ones(400, bool), weights, 6)
    miou = semantic_figures(matrix)["miou"]
    assert miou is not None
    overlap = class_overlap(said, true, weights, 6)
    assert missing_iou(overlap) == pytest.approx(1 - miou)
    halves = class_overlap(said[:150], true[:150], weights[:150], 6) + class_overlap(said[150:], true[150:], weights[150:], 6)
    np.testing.assert_allclose(halves, overlap)
    assert np.isnan(missing_iou(np.zeros((2, 3, 6)))).all()
