"""Panoptic quality against torchmetrics, hand-worked cases, and a turned panorama."""

import numpy as np
import pytest
import torch
from torchmetrics.detection import PanopticQuality

from geometry.directions import erp_area_weights
from metrics.panoptic import Panoptic, add_sums, class_quality, panoptic_figures, panoptic_sums

CLASSES, THINGS = 5, {3, 4}


def blocks(generator: np.random.Generator, void: bool) -> Panoptic:
    """Rectangles of random classes and ids over stuff, on 24 x 48 pixels."""
    classes, ids = np.zeros((24, 48), int), np.zeros((24, 48), int)
    classes[12:] = 1
    for number in range(1, 9):
        top, left = generator.integers(0, 18), generator.integers(0, 40)
        at = np.s_[top : top + generator.integers(3, 12), left : left + generator.integers(3, 16)]
        classes[at] = generator.integers(-1 if void else 0, CLASSES)
        ids[at] = number
    return Panoptic(classes, ids)


def shaken(one: Panoptic, generator: np.random.Generator) -> Panoptic:
    classes = np.where(one.classes < 0, 0, one.classes)
    moved = Panoptic(np.roll(classes, generator.integers(-1, 2), axis=1), np.roll(one.ids, generator.integers(-1, 2), axis=1))
    return Panoptic(np.where(generator.random(one.ids.shape) < 0.02, 0, moved.classes), np.maximum(moved.ids, 1))


def sums(said: Panoptic, true: Panoptic, group: str = "all", weights: np.ndarray | None = None) -> np.ndarray:
    everywhere = np.ones(true.ids.shape) if weights is None else weights
    return add_sums([panoptic_sums(said, true, THINGS, everywhere)], group, CLASSES)


@pytest.mark.parametrize("void", [False, True])
def test_plain_pixels_match_torchmetrics(void):
    oracle = PanopticQuality(
        things=THINGS,
        stuffs=set(range(CLASSES)) - THINGS,
        allow_unknown_preds_category=True,
        return_sq_and_rq=True,
        return_per_class=True,
    )
    generator, ours = np.random.default_rng(3), []
    for _ in range(12):
        true = blocks(generator, void)
        true = Panoptic(true.classes, np.maximum(true.ids, 1))
        said = shaken(true, generator)
        ours.append(panoptic_sums(said, true, THINGS, np.ones(true.ids.shape)))
        pair = [torch.from_numpy(np.stack([one.classes, one.ids], axis=-1))[None] for one in (said, true)]
        # torchmetrics takes a class that it does not know for void.
        oracle.update(*(torch.where(one < 0, 99, one) for one in pair))
    quality = class_quality(add_sums(ours, "all", CLASSES))
    expected = oracle.compute().numpy()[np.argsort([3, 4, 0, 1, 2])]  # its order is things first
    np.testing.assert_allclose(np.nan_to_num(quality), expected, atol=1e-6)
    assert 0.2 < quality[:, 0].min() < quality[:, 0].max() < 0.99


def scene(*rectangles: tuple[int, int, int, int, int, int]) -> Panoptic:
    """10 x 20 pixels of class 0 with rectangles of (class, id, top, bottom, left, right)."""
    classes, ids = np.zeros((10, 20), int), np.zeros((10, 20), int)
    for label, number, top, bottom, left, right in rectangles:
        classes[top:bottom, left:right], ids[top:bottom, left:right] = label, number
    return Panoptic(classes, ids)


def test_a_case_worked_by_hand():
    true = scene((3, 1, 2, 6, 2, 6), (3, 2, 2, 6, 10, 14))
    said = scene((3, 7, 2, 6, 2, 5), (4, 8, 2, 6, 10, 14))
    # Thing 1 is found with 12 of 16 pixels; thing 2 is taken for another class. Stuff: 168 pixels, and 4 more are said.
    np.testing.assert_allclose(sums(said, true)[[0, 3, 4]], [[168 / 172, 1, 0, 0], [0.75, 1, 0, 1], [0, 0, 1, 0]])
    figures = panoptic_figures(sums(said, true), THINGS)
    assert figures["pq_stuff"] == pytest.approx(168 / 172)
    assert figures["pq_things"] == pytest.approx((0.75 / 1.5 + 0) / 2)
    assert figures["sq"] == pytest.approx((168 / 172 + 0.75) / 2)


def test_void_counts_for_nobody():
    true = scene((-1, 0, 0, 4, 0, 10), (3, 1, 4, 8, 0, 4))
    inside = scene((4, 5, 0, 4, 0, 6), (3, 1, 3, 8, 0, 4))
    np.testing.assert_allclose(sums(inside, true)[[3, 4]], [[1, 1, 0, 0], [0, 0, 0, 0]])
    # What is predicted void is not forgiven: it is missing.
    np.testing.assert_allclose(sums(scene((-1, 0, 4, 8, 0, 4)), true)[3], [0, 0, 0, 1])
    # Nor is a thing without an id.
    np.testing.assert_allclose(sums(scene((3, 0, 4, 8, 0, 4)), true)[3], [0, 0, 0, 1])


def test_area_weights_forgive_what_is_small_on_the_sphere():
    true, said = scene((3, 1, 0, 6, 4, 8)), scene((3, 1, 2, 6, 4, 8))
    weights = np.repeat(erp_area_weights(10)[:, None], 20, axis=1)
    plain, by_area = sums(said, true)[3, 0], sums(said, true, weights=weights)[3, 0]
    assert plain == pytest.approx(4 / 6)
    latitude = np.radians([81, 63, 45, 27, 9, -9])
    assert by_area == pytest.approx(np.cos(latitude)[2:].sum() / np.cos(latitude).sum())


def test_a_cut_at_the_seam_is_reported_apart():
    halves = ((3, 1, 4, 7, 17, 20), (3, 1, 4, 7, 0, 3))
    true = scene(*halves, (3, 2, 4, 7, 8, 12))
    cut = scene(halves[0], (3, 9, 4, 7, 0, 3), (3, 2, 4, 7, 8, 12))
    np.testing.assert_allclose(sums(true, true, "seam")[3], [1, 1, 0, 0])
    np.testing.assert_allclose(sums(cut, true, "seam")[3], [0, 0, 2, 1])
    np.testing.assert_allclose(sums(cut, true)[3], [1, 1, 2, 1])
    assert not sums(cut, true, "pole").any()
    over_the_pole = scene((4, 1, 0, 2, 0, 20))
    np.testing.assert_allclose(sums(over_the_pole, over_the_pole, "pole")[4], [1, 1, 0, 0])


def test_turning_both_changes_nothing_but_who_is_at_the_seam():
    generator = np.random.default_rng(0)
    true = blocks(generator, False)
    said = shaken(true, generator)
    turned = [Panoptic(np.roll(one.classes, 17, axis=1), np.roll(one.ids, 17, axis=1)) for one in (said, true)]
    np.testing.assert_allclose(sums(*turned), sums(said, true), atol=1e-8)


def test_nothing_said_and_nothing_true():
    empty = Panoptic(np.full((4, 8), -1), np.zeros((4, 8), int))
    assert panoptic_figures(sums(empty, empty), THINGS) == dict.fromkeys(("pq", "sq", "rq", "pq_things", "pq_stuff"))
