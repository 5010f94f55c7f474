"""Alignments and scales: exact for exact inputs, best in the mean square otherwise, robust where that is said."""

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.spatial.transform import Rotation

from geometry.video.trajectory import align, depth_scale


def path(seed: int, count: int = 30) -> np.ndarray:
    return np.cumsum(np.random.default_rng(seed).normal(size=(count, 3)), axis=0)


@pytest.mark.parametrize("scale", [0.2, 1.0, 7.0])
def test_a_similarity_is_found_again(scale: float) -> None:
    points, rotation, shift = path(0), Rotation.random(random_state=1).as_matrix(), np.array([3.0, -1, 2])
    found = align(points, scale * points @ rotation.T + shift)
    assert found.scale == pytest.approx(scale)
    np.testing.assert_allclose(found.rotation, rotation, atol=1e-9)
    np.testing.assert_allclose(found.shift, shift, atol=1e-9)


@pytest.mark.parametrize("with_scale", [True, False])
def test_it_is_the_least_in_the_mean_square(with_scale: bool) -> None:
    points, reference = path(0), 0.7 * path(0) + 0.2 * path(5)

    def cost(values: np.ndarray) -> float:
        scale = np.exp(values[6]) if with_scale else 1.0
        moved = scale * Rotation.from_rotvec(values[:3]).apply(points) + values[3:6]
        return float(((moved - reference) ** 2).sum())

    found = align(points, reference, with_scale)
    own = float(((found(points) - reference) ** 2).sum())
    assert own <= minimize(cost, np.zeros(7), method="BFGS").fun + 1e-6


def test_a_mirrored_path_is_not_mirrored_back() -> None:
    found = align(path(2), path(2) * [1, 1, -1])
    assert np.linalg.det(found.rotation) == pytest.approx(1)


def test_what_has_no_scale_is_refused() -> None:
    with pytest.raises(ValueError, match="all positions are one"):
        align(np.ones((5, 3)), path(0, 5))
    with pytest.raises(ValueError, match="three positions"):
        align(path(0, 2), path(1, 2))


def test_a_scale_is_robust_and_has_a_spread() -> None:
    generator = np.random.default_rng(0)
    distance = generator.uniform(1, 9, 2000)
    depth = 0.8 * distance * np.exp(0.1 * generator.normal(size=2000))
    depth[:500] *= generator.uniform(5, 50, 500)  # a quarter is wrong
    depth[1000], distance[1001] = 0, -1
    scale, spread = depth_scale(depth, distance)
    assert scale == pytest.approx(0.8, rel=0.06)
    assert spread == pytest.approx(0.15, abs=0.05)
    good = np.arange(2000) >= 500
    assert depth_scale(depth, distance, good)[0] == pytest.approx(0.8, rel=0.01)
    assert depth_scale(depth, distance, good)[1] == pytest.approx(0.1, rel=0.1)
    assert np.isnan(depth_scale(np.zeros(3), np.ones(3))).all()
