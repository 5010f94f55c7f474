"""Overlap, suppression and coding of boxes, against counting pixels and against each other."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models.seamless.boxes import box_iou, decode, encode, settle, suppress

PERIOD, HEIGHT = 24, 6


def pixels(box: torch.Tensor) -> np.ndarray:
    """The pixels of a box with whole-numbered edges on the panorama."""
    left, top, right, bottom = (int(value) for value in box)
    mask = np.zeros((HEIGHT, PERIOD), bool)
    mask[top:bottom, np.arange(left, right) % PERIOD] = True
    return mask


def random_boxes(seed: int, count: int) -> torch.Tensor:
    generator = np.random.default_rng(seed)
    left, top = generator.integers(-PERIOD, 2 * PERIOD, count), generator.integers(0, HEIGHT - 1, count)
    right = left + generator.integers(1, PERIOD + 1, count)
    bottom = np.minimum(top + generator.integers(1, HEIGHT, count), HEIGHT)
    return torch.tensor(np.stack([left, top, right, bottom], axis=1), dtype=torch.float64)


@pytest.mark.parametrize("seed", range(4))
def test_iou_across_the_seam_counts_pixels(seed: int) -> None:
    one, other = random_boxes(seed, 12), random_boxes(seed + 100, 9)
    masks = [np.array([pixels(box) for box in boxes]) for boxes in (one, other)]
    shared = np.einsum("nhw,mhw->nm", masks[0].astype(int), masks[1].astype(int))
    union = masks[0].sum(axis=(1, 2))[:, None] + masks[1].sum(axis=(1, 2)) - shared
    np.testing.assert_allclose(box_iou(one, other, PERIOD).numpy(), shared / union, atol=1e-12)


def test_iou_of_an_ordinary_image_by_hand() -> None:
    boxes = torch.tensor([[0.0, 0, 4, 4], [2, 2, 6, 6], [10, 10, 11, 11], [5, 5, 5, 9]])
    found = box_iou(boxes, boxes)
    assert found[0, 1].item() == pytest.approx(4 / 28)
    assert found[0, 2].item() == 0
    assert found[3].tolist() == [0, 0, 0, 0], "no area, no overlap"


def plain_suppression(boxes: torch.Tensor, scores: list[float], threshold: float, groups: list[int], period: int) -> list[int]:
    """The definition, pixel by pixel."""
    masks = [pixels(box) for box in boxes]
    kept: list[int] = []
    for index in sorted(range(len(scores)), key=lambda index: (-scores[index], index)):
        rivals = [other for other in kept if groups[other] == groups[index]]
        if all((masks[index] & masks[other]).sum() <= threshold * (masks[index] | masks[other]).sum() for other in rivals):
            kept.append(index)
    return kept


@given(st.integers(0, 2**32 - 1), st.sampled_from([0.0, 0.3, 0.5]), st.integers(1, 3))
@settings(max_examples=60, deadline=None)
def test_suppression_is_its_definition(seed: int, threshold: float, groups: int) -> None:
    generator = np.random.default_rng(seed)
    boxes = random_boxes(seed, 20)
    scores, group = generator.integers(0, 8, 20) / 8, generator.integers(0, groups, 20)
    found = suppress(boxes, torch.tensor(scores), threshold, PERIOD, torch.tensor(group))
    assert found.tolist() == plain_suppression(boxes, scores.tolist(), threshold, group.tolist(), PERIOD)
    limited = suppress(boxes, torch.tensor(scores), threshold, PERIOD, torch.tensor(group), limit=3)
    assert limited.tolist() == found.tolist()[:3]


def test_two_finds_of_one_object_across_the_seam_are_one() -> None:
    boxes = torch.tensor([[22.0, 0, 28, 4], [-2, 0, 4, 4], [4, 0, 10, 4]])
    scores = torch.tensor([0.8, 0.9, 0.7])
    assert suppress(boxes, scores, 0.5, PERIOD).tolist() == [1, 2]
    assert suppress(boxes, scores, 0.5).tolist() == [1, 0, 2]
    assert suppress(boxes[:0], scores[:0], 0.5, PERIOD).tolist() == []


def test_settled_boxes_are_the_same_pixels() -> None:
    boxes = random_boxes(7, 50)
    settled = settle(boxes, HEIGHT, PERIOD, wrap=True)
    assert ((settled[:, 0] >= 0) & (settled[:, 0] < PERIOD)).all()
    assert all(np.array_equal(pixels(before), pixels(after)) for before, after in zip(boxes, settled))
    wide = settle(torch.tensor([[-10.0, -3, 40, 9]]), HEIGHT, PERIOD, wrap=True)
    assert wide.tolist() == [[3, 0, 27, HEIGHT]]
    assert settle(torch.tensor([[-10.0, -3, 40, 9]]), HEIGHT, PERIOD, wrap=False).tolist() == [[0, 0, PERIOD, HEIGHT]]
    assert settle(torch.tensor([[-1e-9, 0.0, 1, 1]]), HEIGHT, PERIOD, wrap=True)[0, 0] < PERIOD


def test_coding_takes_the_short_way_round() -> None:
    anchors, boxes = random_boxes(1, 30), random_boxes(2, 30)
    back = settle(decode(encode(boxes, anchors, PERIOD), anchors), HEIGHT, PERIOD, wrap=True)
    torch.testing.assert_close(box_iou(back, boxes, PERIOD).diagonal(), torch.ones(30, dtype=torch.float64))
    steps = encode(torch.tensor([[22.0, 0, 26, 4]]), torch.tensor([[0.0, 0, 4, 4]]), PERIOD)
    assert steps.tolist() == [[-0.5, 0, 0, 0]]
    plain = encode(torch.tensor([[22.0, 0, 26, 4]]), torch.tensor([[0.0, 0, 4, 4]]))
    assert plain.tolist() == [[5.5, 0, 0, 0]]
    assert torch.isfinite(decode(torch.tensor([[0.0, 0, 99, 99]]), torch.tensor([[0.0, 0, 4, 4]]))).all()
