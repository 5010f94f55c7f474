"""Proposals: equal on a turned panorama, and able to learn boxes across the seam."""

import torch

from models.seamless.boxes import box_iou, settle
from models.seamless.layers import FeaturePyramid, WrapConv, middle_columns, wrapped_columns
from models.seamless.proposals import (
    IGNORED,
    ProposalHead,
    ProposalSettings,
    assign,
    level_anchors,
    proposal_loss,
    propose,
    sample,
)

HEIGHT, WIDTH, STRIDES = 32, 64, (4, 8)
SETTINGS = ProposalSettings(size=4, candidates=60, limit=20, sampled=24)


def anchors() -> list[torch.Tensor]:
    return [level_anchors(HEIGHT // stride, WIDTH // stride, stride, SETTINGS) for stride in STRIDES]


def levels(seed: int) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(2, 8, HEIGHT // stride, WIDTH // stride, generator=generator) for stride in STRIDES]


def head(wrap: bool = True) -> ProposalHead:
    torch.manual_seed(0)
    made = ProposalHead(8, SETTINGS, wrap)
    for layer in (made.hidden, made.objectness, made.steps):
        torch.nn.init.normal_(layer.weight, std=0.15)
    return made


def test_convolution_across_the_seam_is_that_of_a_turned_map() -> None:
    torch.manual_seed(0)
    layer, given = WrapConv(3, 5, 3, wrap=True), torch.randn(1, 3, 6, 10)
    torch.testing.assert_close(layer(given).roll(4, dims=-1), layer(given.roll(4, dims=-1)))
    ordinary = WrapConv(3, 5, 3, wrap=False)
    oracle = torch.nn.functional.conv2d(given, ordinary.weight, ordinary.bias, padding=1)
    torch.testing.assert_close(ordinary(given), oracle)
    torch.testing.assert_close(
        layer(given)[..., 1:-1], torch.nn.functional.conv2d(given, layer.weight, layer.bias, padding=1)[..., 1:-1]
    )


def test_any_encoder_sees_across_the_seam() -> None:
    torch.manual_seed(0)
    encoder, given = torch.nn.Conv2d(3, 4, 8, stride=4, padding=2), torch.randn(1, 3, 16, 32)
    seen = middle_columns(encoder(wrapped_columns(given, 8)), 2)
    turned = middle_columns(encoder(wrapped_columns(given.roll(12, dims=-1), 8)), 2)
    torch.testing.assert_close(seen.roll(3, dims=-1), turned)
    assert seen.shape == (1, 4, 4, 8)


def test_pyramid_on_a_turned_panorama() -> None:
    torch.manual_seed(0)
    pyramid = FeaturePyramid([8, 8], 6, wrap=True)
    before, after = pyramid(levels(0)), pyramid([level.roll(8 * (2 - i), dims=-1) for i, level in enumerate(levels(0))])
    assert [level.shape[-2:] for level in before] == [(8, 16), (4, 8), (2, 4)]
    for index, (one, other) in enumerate(zip(before, after)):
        torch.testing.assert_close(one.roll((16, 8, 4)[index], dims=-1), other)


def test_proposals_of_a_turned_panorama_are_turned() -> None:
    made, given = head(), levels(1)
    before = propose(made(given), anchors(), (HEIGHT, WIDTH), True, SETTINGS)
    shift = [24 // stride for stride in STRIDES]
    turned = [level.roll(step, dims=-1) for level, step in zip(given, shift)]
    after = propose(made(turned), anchors(), (HEIGHT, WIDTH), True, SETTINGS)
    for one, other in zip(before, after):
        assert len(one) == len(other) == SETTINGS.limit
        moved = settle(one + torch.tensor([24.0, 0, 24, 0]), HEIGHT, WIDTH, wrap=True)
        torch.testing.assert_close(box_iou(moved, other, WIDTH).diagonal(), torch.ones(len(one)), atol=1e-4, rtol=0)
    assert any((boxes[:, 2] > WIDTH).any() for boxes in before), "some cross the seam"


def test_anchors_lie_on_their_pixels() -> None:
    given = level_anchors(2, 3, 8, ProposalSettings(size=2, ratios=(1.0, 4.0)))
    assert given.shape == (12, 4)
    assert given[0].tolist() == [-4, -4, 12, 12]
    assert given[1].tolist() == [0, -12, 8, 20]
    assert given[2].tolist() == [4, -4, 20, 12]


def test_assignment_by_hand() -> None:
    truth = torch.tensor([[60.0, 0, 68, 8], [20, 0, 28, 8]])
    boxes = torch.tensor([[-4.0, 0, 4, 8], [60, 0, 68, 4], [20, 0, 28, 3], [40, 0, 48, 8]])
    kind, index = assign(boxes, truth, 0.7, 0.4, WIDTH, rescue=False)
    assert kind.tolist() == [1, IGNORED, 0, 0]
    assert index[:3].tolist() == [0, 0, 1]
    kind, index = assign(boxes, truth, 0.7, 0.4, WIDTH, rescue=True)
    assert kind.tolist() == [1, IGNORED, 1, 0], "the best of a true box that nobody else fits"
    assert index[:3].tolist() == [0, 0, 1]
    assert assign(boxes, truth, 0.7, 0.4, None, rescue=False)[0].tolist()[0] == 0, "without a seam the first fits nothing"
    assert assign(boxes, truth[:0], 0.7, 0.4, WIDTH, rescue=True)[0].tolist() == [0] * 4


def test_samples_are_of_the_right_kind_and_number() -> None:
    kind = torch.tensor([1] * 5 + [0] * 50 + [IGNORED] * 50)
    chosen = sample(kind, 20, 0.5, torch.Generator().manual_seed(0))
    assert kind[chosen].tolist() == [1] * 5 + [0] * 15
    few = sample(kind, 6, 0.5, torch.Generator().manual_seed(0))
    assert kind[few].tolist() == [1] * 3 + [0] * 3
    assert torch.equal(few, sample(kind, 6, 0.5, torch.Generator().manual_seed(0)))


def test_boxes_across_the_seam_can_be_learned() -> None:
    given = levels(2)
    truth = [torch.tensor([[58.0, 4, 74, 20], [20, 8, 32, 24]]), torch.tensor([[30.0, 2, 50, 18]])]
    made = head()
    torch.manual_seed(0)
    optimiser = torch.optim.Adam([*made.parameters(), *(level.requires_grad_() for level in given)], lr=0.01)
    generator = torch.Generator().manual_seed(0)
    losses = []
    for _ in range(150):
        objectness, steps = proposal_loss(made(given), anchors(), truth, WIDTH, SETTINGS, generator)
        optimiser.zero_grad()
        (objectness + steps).backward()
        optimiser.step()
        losses.append(float(objectness.detach() + steps.detach()))
    assert losses[-1] < 0.1 * losses[0]
    found = propose(made(given), anchors(), (HEIGHT, WIDTH), True, SETTINGS)
    assert box_iou(truth[0][:1], found[0][:2], WIDTH).max() > 0.9
    for boxes, said in zip(truth, found):
        assert (box_iou(boxes, said[: len(boxes)], WIDTH).max(dim=1).values > 0.6).all(), "the surest are the objects"


def test_an_image_without_objects_teaches_background_alone() -> None:
    made = head()
    objectness, steps = proposal_loss(
        made(levels(0)), anchors(), [torch.zeros(0, 4)] * 2, WIDTH, SETTINGS, torch.Generator().manual_seed(0)
    )
    (objectness + steps).backward()
    assert objectness > 0
    assert steps == 0
