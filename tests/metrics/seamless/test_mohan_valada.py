"""The metrics of Mohan and Valada on cases worked by hand from their definition."""

import numpy as np
import pytest

from metrics.seamless.mohan_valada import AmodalScene, MohanValadaCounts, mohan_valada_counts
from metrics.seamless.objects import Objects

WIDTH = 40
Thing = tuple[int, slice, slice]
"""Class, columns of the whole, columns that are visible."""


def scene(stuff: list[tuple[int, slice]], things: list[Thing], void: slice | None = None) -> AmodalScene:
    """One row of pixels."""
    row = np.full((1, WIDTH), -1)
    for label, columns in stuff:
        row[0, columns] = label
    masks = np.zeros((2, len(things), 1, WIDTH), bool)
    for index, (_, whole, visible) in enumerate(things):
        masks[0, index, 0, whole] = masks[1, index, 0, visible] = True
    nobody = None
    if void is not None:
        nobody = np.zeros((1, WIDTH), bool)
        nobody[0, void] = True
    return AmodalScene(row, Objects(masks[0], np.array([thing[0] for thing in things], int)), masks[1], nobody)


def counts(prediction: AmodalScene, truth: AmodalScene) -> MohanValadaCounts:
    return mohan_valada_counts(prediction, truth, 3)


def test_a_scene_by_hand() -> None:
    truth = scene([(0, slice(20, 40))], [(1, slice(0, 20), slice(0, 10)), (2, slice(10, 20), slice(10, 20))])
    said = scene([(0, slice(20, 35))], [(1, slice(0, 16), slice(0, 8)), (2, slice(10, 20), slice(10, 20))])
    found = counts(said, truth)
    # Stuff 15/20. Thing 1: visible 8/10, hidden columns 8-15 of 10-19: 6/12. Thing 2 is seen whole.
    np.testing.assert_allclose(found.quality(), [0.75, (0.8 + 0.5) / 2, 1])
    np.testing.assert_allclose(found.coverage(), [0.75, (0.8 * 10 + 0.5 * 10) / 20, 1])
    figures = found.figures()
    assert figures["mohan_valada_apq"] == pytest.approx((0.75 + 0.65 + 1) / 3)
    assert figures["mohan_valada_apq_hidden"] == pytest.approx(0.5)


def test_unmatched_segments_weigh_one_and_hidden_parts_again() -> None:
    occluded: Thing = (1, slice(0, 20), slice(0, 10))
    found = counts(scene([], []), scene([], [occluded]))
    assert (found.visible_segments[1], found.hidden_segments[1], found.quality()[1]) == (1, 1, 0)
    both = counts(scene([], [occluded, (1, slice(30, 40), slice(30, 40))]), scene([], [occluded]))
    assert (both.visible_segments[1], both.hidden_segments[1]) == (2, 1)
    assert both.quality()[1] == pytest.approx(2 / 3)
    # Hiding claimed where the object is seen whole is one false hidden part.
    claimed = counts(scene([], [occluded]), scene([], [(1, slice(0, 10), slice(0, 10))]))
    assert (claimed.visible_segments[1], claimed.hidden_segments[1], claimed.quality()[1]) == (1, 1, 0.5)


def test_matching_needs_no_least_iou_but_one_class() -> None:
    truth = scene([], [(1, slice(0, 10), slice(0, 10))])
    assert counts(scene([], [(1, slice(9, 19), slice(9, 19))]), truth).quality()[1] == pytest.approx(1 / 19)
    other = counts(scene([], [(2, slice(0, 10), slice(0, 10))]), truth)
    assert other.quality()[1:].tolist() == [0, 0]
    assert other.visible_segments.tolist() == [0, 1, 1]


def test_as_many_pairs_as_there_can_be() -> None:
    truth = scene([], [(1, slice(0, 10), slice(0, 10)), (1, slice(10, 20), slice(10, 20))])
    said = scene([], [(1, slice(1, 11), slice(1, 11)), (1, slice(30, 40), slice(30, 40))])
    found = counts(said, truth)
    assert found.visible_segments[1] == 2
    assert found.visible_iou[1] == pytest.approx(9 / 11)


def test_stuff_counts_without_threshold_and_void_is_left_out() -> None:
    truth = scene([(0, slice(0, 20))], [], void=slice(20, 30))
    assert counts(scene([(0, slice(0, 40))], []), truth).quality()[0] == pytest.approx(20 / 30)
    assert counts(scene([(0, slice(18, 20))], []), truth).quality()[0] == pytest.approx(2 / 20)
    # Invented stuff is not counted; absent classes are undefined.
    invented = counts(scene([(2, slice(30, 40))], []), truth).quality()
    assert invented[0] == 0
    assert np.isnan(invented[1:]).all()
    forgiven = counts(scene([], [(1, slice(20, 30), slice(20, 30))]), truth)
    assert forgiven.visible_segments[1] == 0


def test_coverage_takes_the_best_prediction_again_and_again() -> None:
    truth = scene([], [(1, slice(0, 10), slice(0, 10)), (1, slice(10, 20), slice(10, 20))])
    found = counts(scene([], [(1, slice(0, 20), slice(0, 20))]), truth)
    assert found.coverage()[1] == pytest.approx(0.5)
    assert found.quality()[1] == pytest.approx(0.5 / 2)
    # Beyond the object, void is left out of the union; inside, a pixel that the truth calls an object counts.
    beside = scene([], [(1, slice(0, 10), slice(0, 10))], void=slice(5, 15))
    assert counts(scene([], [(1, slice(0, 15), slice(0, 15))]), beside).coverage()[1] == 1
    nothing = counts(scene([], []), truth)
    assert nothing.coverage()[1] == 0
    assert (nothing + found).coverage()[1] == pytest.approx(0.25)
