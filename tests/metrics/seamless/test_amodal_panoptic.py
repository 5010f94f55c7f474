"""APQ: PQ where nothing overlaps, and hand-worked cases where something does."""

import numpy as np
import pytest

from metrics.seamless.amodal_panoptic import AmodalPanoptic, amodal_panoptic_counts, thing_counts
from metrics.seamless.objects import Objects, no_objects
from metrics.seamless.panoptic import PanopticMap, panoptic_counts
from tests.metrics.seamless.samples import CLASSES, HEIGHT, STUFF, WIDTH, rectangle, sample
from tests.metrics.seamless.test_panoptic import table

NOWHERE = np.zeros((HEIGHT, WIDTH), bool)


def things(*boxes: tuple[int, int, int, int], crowd: list[bool] | None = None) -> Objects:
    masks = np.array([rectangle(*box) for box in boxes]).reshape(-1, HEIGHT, WIDTH)
    return Objects(masks, np.zeros(len(boxes), int), None, None if crowd is None else np.array(crowd))


def as_amodal(panoptic: PanopticMap, void: np.ndarray | None) -> AmodalPanoptic:
    stuff = np.where((panoptic.segments >= 0) & (panoptic.segments < STUFF), panoptic.segments, -1)
    masks = np.array([panoptic.segments == index for index in range(STUFF, len(panoptic.classes))])
    crowd = None if panoptic.crowd is None else panoptic.crowd[STUFF:]
    return AmodalPanoptic(stuff, Objects(masks.reshape(-1, HEIGHT, WIDTH), panoptic.classes[STUFF:], None, crowd), void)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("paper_compat", [False, True])
def test_it_is_panoptic_quality_where_nothing_overlaps(seed: int, paper_compat: bool) -> None:
    one = sample(seed)
    prediction, truth = as_amodal(one.prediction, None), as_amodal(one.truth, one.void)
    found = amodal_panoptic_counts(prediction, truth, CLASSES, paper_compat)
    np.testing.assert_allclose(table(found), table(panoptic_counts(one.prediction, one.truth, CLASSES)), atol=1e-12)


def test_two_predictions_match_one_object_only_as_released() -> None:
    truth, twice = things((0, 0, 10, 20)), things((0, 0, 10, 20), (0, 0, 10, 15))
    assert table(thing_counts(twice, truth, NOWHERE, 1)) == [[1, 1, 1, 0]]
    assert table(thing_counts(twice, truth, NOWHERE, 1, paper_compat=True)) == [[1.75, 2, 0, 0]]
    one, overlapping = things((0, 1, 10, 20)), things((0, 0, 10, 20), (0, 2, 10, 20))
    iou = 19 / 21
    np.testing.assert_allclose(table(thing_counts(one, overlapping, NOWHERE, 1)), [[iou, 1, 0, 1]])
    np.testing.assert_allclose(table(thing_counts(one, overlapping, NOWHERE, 1, paper_compat=True)), [[2 * iou, 2, 0, 0]])


def test_matches_are_those_with_the_largest_sum() -> None:
    # The best pair (17/23) would leave nothing above 1/2 for the others; the largest sum matches both.
    truth = things((0, 0, 10, 20), (0, 8, 10, 20))
    prediction = things((0, 3, 10, 20), (0, 0, 10, 13))
    found = thing_counts(prediction, truth, NOWHERE, 1)
    np.testing.assert_allclose(table(found), [[15 / 25 + 13 / 20, 2, 0, 0]])


def test_the_hidden_part_counts() -> None:
    whole, seen = things((0, 0, 10, 20)), things((0, 0, 10, 8))
    assert table(thing_counts(seen, whole, NOWHERE, 1)) == [[0, 0, 1, 1]]


def test_a_whole_object_may_reach_under_void() -> None:
    truth, void = things((0, 0, 10, 20)), rectangle(0, 15, 10, 15)
    # Ten columns beyond the object lie on void and are left out; the five inside stay in: IoU 1, never above.
    assert table(thing_counts(things((0, 0, 10, 30)), truth, void, 1)) == [[1, 1, 0, 0]]
    assert table(thing_counts(things((0, 0, 10, 15)), truth, void, 1)) == [[0.75, 1, 0, 0]]


def test_void_and_crowds_forgive() -> None:
    crowd = things((0, 0, 10, 20), (30, 0, 10, 10), crowd=[True, False])
    lone = things((0, 0, 10, 30), (30, 0, 10, 10))
    assert table(thing_counts(lone, crowd, NOWHERE, 1)) == [[1, 1, 0, 0]]
    half = things((0, 0, 10, 40), (30, 0, 10, 10))
    assert table(thing_counts(half, crowd, NOWHERE, 1)) == [[1, 1, 1, 0]], "exactly half is not more than half"
    # Crowd and void on the same pixels forgive once.
    assert table(thing_counts(half, crowd, rectangle(0, 0, 10, 20), 1)) == [[1, 1, 1, 0]]


def test_an_object_across_the_seam_is_one() -> None:
    truth = things((0, 86, 10, 20))
    assert table(thing_counts(things((0, 86, 10, 20)), truth, NOWHERE, 1)) == [[1, 1, 0, 0]]
    assert table(thing_counts(things((0, 86, 10, 10), (0, 0, 10, 10)), truth, NOWHERE, 1)) == [[0, 0, 2, 1]]


def test_stuff_behind_things_is_not_void() -> None:
    # The prediction paints stuff 0 over a true Thing: a false part, while on void it would be none.
    truth = np.zeros((HEIGHT, WIDTH), int)
    truth[:, :24] = -1
    everywhere = AmodalPanoptic(np.zeros_like(truth), no_objects(HEIGHT, WIDTH))
    seen = AmodalPanoptic(truth, no_objects(HEIGHT, WIDTH))
    unlabelled = AmodalPanoptic(truth, no_objects(HEIGHT, WIDTH), truth < 0)
    assert table(amodal_panoptic_counts(everywhere, seen, 1)) == [[0.75, 1, 0, 0]]
    assert table(amodal_panoptic_counts(everywhere, unlabelled, 1)) == [[1, 1, 0, 0]]


def test_stuff_mostly_on_void_is_forgiven_and_half_is_not() -> None:
    def invented(void_columns: int) -> list[float]:
        stuff = np.zeros((HEIGHT, WIDTH), int)
        said = AmodalPanoptic(np.where(np.arange(WIDTH) < 8, 1, stuff), no_objects(HEIGHT, WIDTH))
        void = np.zeros((HEIGHT, WIDTH), bool)
        void[:, :void_columns] = True
        return table(amodal_panoptic_counts(said, AmodalPanoptic(stuff, no_objects(HEIGHT, WIDTH), void), 2))[1]

    assert invented(4) == [0, 0, 1, 0]
    assert invented(5) == [0, 0, 0, 0]


def test_bad_input_is_named() -> None:
    with pytest.raises(ValueError, match="stuff is"):
        AmodalPanoptic(np.zeros((3, 3), int), no_objects(4, 4))
    one = AmodalPanoptic(np.full((4, 4), 9), no_objects(4, 4))
    with pytest.raises(ValueError, match="stuff must be -1 or a class from 0 to 2"):
        amodal_panoptic_counts(one, one, 3)
