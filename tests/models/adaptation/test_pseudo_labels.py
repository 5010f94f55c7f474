"""Omni labels: what is certain, what is uncertain, and what neither is."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from models.adaptation.pseudo_labels import IGNORED, omni_labels, semantic_labels, thing_area

HEIGHT, WIDTH = 4, 12


def row(*spans: tuple[int, int]) -> np.ndarray:
    masks = np.zeros((len(spans), HEIGHT, WIDTH), bool)
    for mask, (start, stop) in zip(masks, spans):
        mask[1, np.arange(start, stop) % WIDTH] = True
    return masks


def test_rejected_pixels_are_uncertain_unless_a_certain_object_holds_them() -> None:
    everywhere = np.ones((HEIGHT, WIDTH), bool)
    masks, scores = row((0, 4), (2, 7), (8, 10)), np.array([0.9, 0.4, 0.04])
    labels = omni_labels(masks, np.array([0, 1, 1]), scores, everywhere, np.array([0.5, 0.5]))
    np.testing.assert_array_equal(labels.masks, masks[:1])
    # 2 and 3 belong to the certain object; the third detection is below 0.05 and says nothing.
    assert np.flatnonzero(labels.uncertain[1]).tolist() == [4, 5, 6]
    assert not labels.uncertain[[0, 2, 3]].any()
    # A lower threshold for class 1 alone keeps it.
    kept = omni_labels(masks, np.array([0, 1, 1]), scores, everywhere, np.array([0.5, 0.4]))
    assert kept.classes.tolist() == [0, 1]
    assert not kept.uncertain.any()


def test_masks_are_cut_to_where_things_are_seen() -> None:
    semantics = np.zeros((HEIGHT, WIDTH), int)
    semantics[:, 3:6] = 11
    area = thing_area(semantics, range(11, 18))
    assert np.flatnonzero(area[0]).tolist() == [3, 4, 5]
    labels = omni_labels(row((0, 5), (7, 9)), np.array([11, 11]), np.array([0.9, 0.9]), area, np.full(18, 0.5))
    # A poster on a wall has no Thing pixels and goes; the box is that of the cut mask.
    assert labels.boxes.tolist() == [[1, 3, 1, 2]]
    assert labels.masks.sum() == 2


def test_a_veto_on_objects_leaves_them_whole_or_forgets_them() -> None:
    area = np.zeros((HEIGHT, WIDTH), bool)
    area[:, 3:6] = True
    masks = row((1, 5), (2, 4), (5, 8))  # half of them inside, half, a third
    labels = omni_labels(masks, np.zeros(3, int), np.array([0.9, 0.1, 0.9]), area, np.full(1, 0.5), veto="objects")
    assert (labels.masks == masks[:1]).all()
    assert not labels.uncertain.any()  # the rejected one lies within the certain one
    alone = omni_labels(masks[1:], np.zeros(2, int), np.array([0.1, 0.9]), area, np.full(1, 0.5), veto="objects")
    assert len(alone.masks) == 0
    assert (alone.uncertain == masks[1]).all()


def test_boxes_cross_the_seam() -> None:
    labels = omni_labels(row((10, 14)), np.array([0]), np.array([1.0]), np.ones((HEIGHT, WIDTH), bool), np.array([0.5]))
    assert labels.boxes.tolist() == [[1, 10, 1, 4]]


def test_nothing_found() -> None:
    nobody = omni_labels(row(), np.zeros(0, int), np.zeros(0), np.ones((HEIGHT, WIDTH), bool), np.full(3, 0.5))
    assert (nobody.masks.shape, nobody.boxes.shape) == ((0, HEIGHT, WIDTH), (0, 4))
    assert not nobody.uncertain.any()
    no_things = omni_labels(row((0, 3)), np.array([0]), np.array([0.9]), np.zeros((HEIGHT, WIDTH), bool), np.full(3, 0.5))
    assert (len(no_things.masks), no_things.uncertain.any()) == (0, False)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None)
def test_certain_and_uncertain_never_meet_and_all_is_accounted_for(seed: int) -> None:
    generator = np.random.default_rng(seed)
    masks = generator.random((6, HEIGHT, WIDTH)) < 0.3
    classes, scores = generator.integers(0, 3, 6), generator.random(6)
    area, thresholds = generator.random((HEIGHT, WIDTH)) < 0.7, generator.random(3)
    labels = omni_labels(masks, classes, scores, area, thresholds)
    certain = labels.masks.any(axis=0)
    assert not (certain & labels.uncertain).any()
    np.testing.assert_array_equal(certain | labels.uncertain, masks[scores >= 0.05].any(axis=0) & area)
    assert (labels.scores >= thresholds[labels.classes]).all()


def test_pixels_below_their_class_threshold_are_ignored() -> None:
    found = semantic_labels(np.array([[0, 0, 1]]), np.array([[0.5, 0.4, 0.4]]), np.array([0.5, 0.3]))
    assert found.tolist() == [[0, IGNORED, 1]]
    assert found.dtype == np.uint8
