"""Distances of features: closed forms of normal distributions, torchmetrics with the same network, and no bias of few samples."""

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm
from torchmetrics.image.fid import FrechetInceptionDistance
from torchmetrics.image.kid import KernelInceptionDistance

from metrics.video.distances import effective_rank, frechet_distance, kernel_distance


class Features(torch.nn.Module):
    """A small network with 6 features of a picture."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layers = torch.nn.Sequential(torch.nn.Conv2d(3, 6, 3), torch.nn.Tanh(), torch.nn.AdaptiveAvgPool2d(1))
        self.num_features = 6

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        return 10 * self.layers(pictures.double() / 255 - 0.5).flatten(1)


def pictures(seed: int, count: int = 64) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    shades = torch.randint(0, 200, (count, 3, 1, 1), generator=generator)
    return (
        (shades + torch.randint(0, 56, (count, 3, 12, 12), generator=generator) * (seed + 1) // 2).clamp(0, 255).to(torch.uint8)
    )


def exact_normal(count: int, mean: np.ndarray, deviations: np.ndarray) -> np.ndarray:
    """Samples (count, D) whose mean and covariance are exactly these."""
    drawn = np.random.default_rng(0).normal(size=(count, len(mean)))
    orthogonal = np.linalg.qr(drawn - drawn.mean(axis=0))[0] * np.sqrt(count - 1)
    return mean + orthogonal * deviations


def test_normal_distributions_have_their_closed_form() -> None:
    generator = np.random.default_rng(1)
    means, deviations = generator.normal(size=(2, 5)), generator.uniform(0.5, 2, (2, 5))
    first, second = (exact_normal(100, *one) for one in zip(means, deviations))
    expected = ((means[0] - means[1]) ** 2).sum() + ((deviations[0] - deviations[1]) ** 2).sum()
    assert frechet_distance(first, second) == pytest.approx(expected, rel=1e-9)
    assert frechet_distance(first, first) == pytest.approx(0, abs=1e-9)


def test_it_is_that_of_the_matrix_root() -> None:
    generator = np.random.default_rng(2)
    first, second = generator.normal(size=(80, 6)) @ generator.normal(size=(6, 6)), generator.normal(size=(50, 6)) + 1
    root = sqrtm(np.cov(first.T) @ np.cov(second.T)).real
    trace = np.trace(np.cov(first.T) + np.cov(second.T) - 2 * root)
    expected = ((first.mean(axis=0) - second.mean(axis=0)) ** 2).sum() + trace
    assert frechet_distance(first, second) == pytest.approx(expected, rel=1e-9)


def test_they_are_those_of_torchmetrics_with_the_same_network() -> None:
    network, (real, fake) = Features().double(), (pictures(0), pictures(1))
    features = [network(one).detach().numpy() for one in (real, fake)]
    frechet = FrechetInceptionDistance(feature=network, input_img_size=(3, 12, 12)).set_dtype(torch.float64)
    kernel = KernelInceptionDistance(feature=network, subsets=1, subset_size=64)
    for judge in (frechet, kernel):
        judge.update(real, real=True)
        judge.update(fake, real=False)
    assert frechet_distance(*features) == pytest.approx(float(frechet.compute()), abs=1e-4)
    assert kernel_distance(*features) == pytest.approx(float(kernel.compute()[0]), abs=1e-4)
    assert frechet_distance(*features) > 0.01


def test_fewer_videos_than_features_are_exact_if_asked_for() -> None:
    generator = np.random.default_rng(3)
    first, second = generator.normal(size=(7, 40)), generator.normal(size=(9, 40))
    with pytest.raises(ValueError, match=r"needs 1\d videos or more for these features, got 7; few=True"):
        frechet_distance(first, second)
    # More features that say nothing new change nothing.
    wide = np.concatenate([first, np.zeros((7, 60))], axis=1), np.concatenate([second, np.zeros((9, 60))], axis=1)
    assert frechet_distance(*wide, few=True) == pytest.approx(frechet_distance(first, second, few=True))
    moved = frechet_distance(first, first + 2.0, few=True)
    assert moved == pytest.approx(40 * 4.0)
    with pytest.raises(ValueError, match="2 videos or more"):
        frechet_distance(first[:1], second, few=True)


def test_a_kernel_distance_is_a_double_sum() -> None:
    generator = np.random.default_rng(4)
    first, second = generator.normal(size=(5, 3)), generator.normal(size=(7, 3)) + 0.5

    def kernel(x: np.ndarray, y: np.ndarray) -> float:
        return float((sum(a * b for a, b in zip(x, y)) / 3 + 1) ** 3)

    own = np.mean([kernel(x, y) for i, x in enumerate(first) for j, y in enumerate(first) if i != j])
    other = np.mean([kernel(x, y) for i, x in enumerate(second) for j, y in enumerate(second) if i != j])
    between = np.mean([kernel(x, y) for x in first for y in second])
    assert kernel_distance(first, second) == pytest.approx(own + other - 2 * between, rel=1e-12)
    with pytest.raises(ValueError, match="two videos"):
        kernel_distance(first[:1], second)


def test_few_samples_of_one_kind_are_apart_by_nothing_in_the_mean() -> None:
    """Over 200 draws; the Frechet distance of as many is never near 0."""
    generator = np.random.default_rng(5)
    draws = [generator.normal(size=(2, 10, 8)) for _ in range(200)]
    found = np.array([kernel_distance(*one) for one in draws])
    assert abs(found.mean()) < 3 * found.std() / np.sqrt(200)
    assert found.min() < 0 < found.max()
    assert min(frechet_distance(*one, few=True) for one in draws) > 0.5


def test_an_effective_rank_counts_directions() -> None:
    for count in (1, 3, 5):
        deviations = np.where(np.arange(8) < count, 2.0, 0.0)
        assert effective_rank(exact_normal(50, np.ones(8), deviations)) == pytest.approx(count, rel=1e-6)
    assert effective_rank(np.ones((4, 3))) == 1
