"""ClassMix and its loss against cases worked by hand."""

import math

import pytest
import torch

from models.adaptation.class_mixing import IGNORED, MixedCrops, mix_classes, sure_share, weighted_cross_entropy


def test_half_of_the_classes_go_over_the_next_crop_with_labels_and_weights() -> None:
    labels = torch.tensor([[[3, 3, IGNORED]], [[1, IGNORED, 2]]])
    images = torch.arange(18.0).reshape(2, 3, 1, 3)
    weights = torch.tensor([0.25, 0.75])
    both = set()
    for seed in range(20):
        mixed = mix_classes(images, labels, weights, torch.Generator().manual_seed(seed))
        # The first has one class, which goes over the second; the second gives one of its two.
        assert mixed.labels[0].tolist() == [[3, 3, 2]]
        assert mixed.weights[0].tolist() == [[0.25, 0.25, 0.75]]
        assert mixed.images[0, :, 0].tolist() == [[0, 1, 11], [3, 4, 14], [6, 7, 17]]
        both.add(str(mixed.labels[1].tolist()))
        from_second = mixed.weights[1] == 0.75
        assert torch.equal(mixed.images[1], torch.where(from_second, images[1], images[0]))
        assert torch.equal(mixed.labels[1], torch.where(from_second, labels[1], labels[0]))
    assert both == {str([[1, 3, IGNORED]]), str([[3, 3, 2]])}


def test_a_crop_without_classes_takes_all_of_its_neighbour() -> None:
    labels = torch.tensor([[[IGNORED, IGNORED]], [[4, 4]]])
    mixed = mix_classes(torch.rand(2, 3, 1, 2), labels, torch.ones(2))
    assert mixed.labels.tolist() == [[[4, 4]], [[4, 4]]]


def test_the_share_of_sure_pixels() -> None:
    probabilities = torch.tensor([[[[0.97, 0.5]], [[0.03, 0.5]]], [[[0.01, 0.0]], [[0.99, 1.0]]]])
    assert sure_share(probabilities, 0.968).tolist() == [0.5, 1.0]


def test_the_loss_is_the_mean_of_weighted_surprise() -> None:
    logits = torch.log(torch.tensor([[[[0.8, 0.5, 0.9]], [[0.2, 0.5, 0.1]]]], dtype=torch.float64)).requires_grad_()
    mixed = MixedCrops(torch.zeros(1, 3, 1, 3), torch.tensor([[[0, 1, IGNORED]]]), torch.tensor([[[1.0, 0.5, 1.0]]]))
    loss = weighted_cross_entropy(logits, mixed)
    assert loss.item() == pytest.approx((-math.log(0.8) - 0.5 * math.log(0.5)) / 3)
    loss.backward()
    assert (logits.grad[..., 2] == 0).all()
