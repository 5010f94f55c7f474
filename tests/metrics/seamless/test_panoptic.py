"""PQ against torchmetrics and hand-worked cases."""

import numpy as np
import pytest
import torch
from torchmetrics.detection import PanopticQuality

from metrics.seamless.panoptic import VOID, PanopticMap, panoptic_counts, panoptic_map
from metrics.seamless.quality import QualityCounts, no_counts
from tests.metrics.seamless.samples import CLASSES, STUFF, THINGS, Sample, sample


def row(text: str) -> np.ndarray:
    """One row of segments: a letter each, '.' for void."""
    return np.array([[VOID if letter == "." else ord(letter) - ord("a") for letter in text]])


def counts(prediction: str, truth: str, said: list[int], true: list[int], crowd: list[int] | None = None) -> QualityCounts:
    group = None if crowd is None else np.isin(np.arange(len(true)), crowd)
    return panoptic_counts(
        PanopticMap(row(prediction), np.array(said)), PanopticMap(row(truth), np.array(true), group), max(said + true) + 1
    )


def table(found: QualityCounts) -> list[list[float]]:
    """Per class: summed IoU, TP, FP, FN."""
    columns = (found.iou, found.true_positives, found.false_positives, found.false_negatives)
    return np.stack(columns, axis=1).tolist()


@pytest.mark.parametrize("seed", range(6))
def test_panoptic_quality_is_that_of_torchmetrics(seed: int) -> None:
    samples = [sample(100 * seed + index) for index in range(4)]
    oracle = PanopticQuality(
        things=set(range(STUFF, CLASSES)), stuffs=set(range(STUFF)), allow_unknown_preds_category=True, return_per_class=True
    )

    def pairs(segments: np.ndarray, classes: np.ndarray) -> torch.Tensor:
        category = np.where(segments >= 0, classes[segments], CLASSES + 9)
        return torch.from_numpy(np.stack([category, segments], axis=-1))[None]

    total = no_counts(CLASSES)
    for one in samples:
        # torchmetrics knows no crowd.
        truth = PanopticMap(one.truth.segments, one.truth.classes)
        total = total + panoptic_counts(one.prediction, truth, CLASSES)
        oracle.update(pairs(one.prediction.segments, one.prediction.classes), pairs(truth.segments, truth.classes))
    expected = oracle.compute()[0].numpy()  # things first, then stuff
    np.testing.assert_allclose(np.nan_to_num(total.per_class()), np.roll(expected, -THINGS), atol=1e-6)


def test_a_match_needs_more_than_half() -> None:
    assert table(counts("aabb", "aaaa", [0, 1], [0])) == [[0, 0, 1, 1], [0, 0, 1, 0]]
    assert table(counts("aaab", "aaaa", [0, 1], [0])) == [[0.75, 1, 0, 0], [0, 0, 1, 0]]


def test_union_leaves_out_what_the_prediction_has_on_void() -> None:
    # Three of five predicted pixels lie on the object of three, two on void: IoU 1.
    assert table(counts("aaaaab", "aaa..b", [0, 1], [0, 1])) == [[1, 1, 0, 0], [1, 1, 0, 0]]
    # What the prediction leaves void is a part missed, unlike in torchmetrics.
    assert table(counts("aa...a", "aaaaaa", [0], [0])) == [[0, 0, 1, 1]]


def test_a_prediction_mostly_on_void_is_forgiven() -> None:
    assert table(counts("bbba", "..ca", [0, 1], [0, 9, 2]))[1] == [0, 0, 0, 0]
    # Exactly half is not more than half.
    assert table(counts("bbaa", ".caa", [0, 1], [0, 9, 2]))[1] == [0, 0, 1, 0]


def test_crowds_are_neither_found_nor_missed_and_forgive() -> None:
    found = counts("bbba", "bbba", [0, 1], [0, 1], crowd=[1])
    assert table(found) == [[1, 1, 0, 0], [0, 0, 0, 0]]
    other_class = counts("bbba", "bbba", [0, 2], [0, 1], crowd=[1])
    assert table(other_class)[2] == [0, 0, 1, 0], "a crowd forgives its own class only"


def test_an_object_found_as_two_halves_costs_three() -> None:
    assert table(counts("aabb", "aaaa", [0, 0], [0])) == [[0, 0, 2, 1]]


def test_an_object_across_the_seam_is_one() -> None:
    # Truth 'b' lies at both ends. Found as one segment it matches; cut at the border it does not.
    assert table(counts("bbaabb", "bbaabb", [0, 1], [0, 1])) == [[1, 1, 0, 0], [1, 1, 0, 0]]
    assert table(counts("bbaacc", "bbaabb", [0, 1, 1], [0, 1])) == [[1, 1, 0, 0], [0, 0, 2, 1]]


@pytest.mark.parametrize("shift", [1, 17, 50])
def test_turning_the_panorama_changes_nothing(shift: int) -> None:
    def turned(panoptic: PanopticMap) -> PanopticMap:
        return PanopticMap(np.roll(panoptic.segments, shift, axis=1), panoptic.classes, panoptic.crowd)

    one: Sample = sample(3)
    expected = table(panoptic_counts(one.prediction, one.truth, CLASSES))
    assert table(panoptic_counts(turned(one.prediction), turned(one.truth), CLASSES)) == expected


def test_absent_classes_stay_out_of_the_mean_and_invented_ones_do_not() -> None:
    found = counts("aaab", "aaaa", [0, 3], [0])
    assert found.per_class().tolist()[:1] == [0.75]
    assert np.isnan(found.per_class()[1:3]).all()
    figures = found.figures(things=[3])
    assert figures["quality"] == pytest.approx((0.75 + 0) / 2)
    assert (figures["quality_stuff"], figures["quality_things"]) == (0.75, 0)
    assert no_counts(4).figures(things=[3])["quality"] is None


def test_counts_can_be_joined_in_any_grouping() -> None:
    parts = [panoptic_counts(one.prediction, one.truth, CLASSES) for one in map(sample, range(4))]
    left, right = sum(parts, no_counts(CLASSES)), (parts[3] + parts[1]) + (parts[0] + parts[2])
    np.testing.assert_allclose(table(left), table(right), rtol=1e-14)


def test_segments_of_class_and_instance_maps() -> None:
    semantics = np.array([[0, 0, 2, 2, 2, 255, 3]])
    instances = np.array([[5, 0, 1, 1, 2, 0, 0]])
    made = panoptic_map(semantics, instances, classes=4, things=range(2, 4))
    # Stuff in one segment whatever its instance; two Things; void where a Thing has no instance.
    assert [int(made.classes[s]) if s >= 0 else VOID for s in made.segments[0]] == [0, 0, 2, 2, 2, VOID, VOID]
    assert len(np.unique(made.segments[0, :5])) == 3
    assert panoptic_map(np.full((2, 2), 255), np.zeros((2, 2), int), 4, range(2, 4)).segments.tolist() == [[VOID] * 2] * 2


def test_bad_input_is_named() -> None:
    with pytest.raises(ValueError, match="segments must be"):
        PanopticMap(np.array([[0, 2]]), np.array([0, 1]))
    with pytest.raises(ValueError, match="class 7 is not one of 0 to 3"):
        panoptic_counts(PanopticMap(np.array([[0]]), np.array([7])), PanopticMap(np.array([[0]]), np.array([0])), 4)
    with pytest.raises(ValueError, match="prediction is"):
        panoptic_counts(PanopticMap(np.array([[0]]), np.array([0])), PanopticMap(np.array([[0, 0]]), np.array([0])), 4)
