"""Agreement of views against brute force over pairs, scipy's entropies, and what must not change it."""

import numpy as np
import pytest
from scipy.spatial.distance import jensenshannon
from scipy.stats import entropy

from geometry.cameras import Camera
from geometry.fields import Field
from geometry.fusion import consistency
from geometry.fusion.fuse import FusionSettings, fuse
from geometry.layouts import icosahedron

SETTINGS = FusionSettings(off_axis_power=0, edge_feather=0, classes=8)


def pair_mean(weights: np.ndarray, values: np.ndarray) -> float:
    """Mean of values (N, N) over pairs of different views, drawn by weight."""
    pairs = np.outer(weights, weights)
    np.fill_diagonal(pairs, 0)
    return float((pairs * values).sum() / pairs.sum())


@pytest.fixture
def weights() -> np.ndarray:
    return np.array([0.3, 0.05, 0.9, 0.4])


def rivals_of(weights: np.ndarray) -> np.ndarray:
    return consistency.rivalry(np.float32([weights.sum()]), np.float32([(weights**2).sum()]))


def test_rivalry_is_the_probability_of_drawing_two_views(weights):
    drawn = np.random.default_rng(0).choice(4, (200_000, 2), p=weights / weights.sum())
    assert rivals_of(weights)[0] == pytest.approx((drawn[:, 0] != drawn[:, 1]).mean(), abs=0.005)
    assert rivals_of(np.array([0.7]))[0] == pytest.approx(0, abs=1e-6)
    assert consistency.rivalry(np.zeros(1, np.float32), np.zeros(1, np.float32))[0] == 0


def test_deviation_is_that_of_pairs_of_views(weights):
    logs = np.array([0.1, -0.4, 0.2, 0.25])
    variance = np.average((logs - np.average(logs, weights=weights)) ** 2, weights=weights)
    pairs = pair_mean(weights, (logs[:, None] - logs) ** 2)
    found = consistency.deviation(np.float32([variance]), rivals_of(weights))
    assert found[0] == pytest.approx(np.sqrt(pairs / 2), rel=1e-5)


def test_pair_angle_has_the_mean_cosine_of_pairs(weights):
    normals = np.random.default_rng(1).normal((3, 0, 0), 1, (4, 3))
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    length = np.linalg.norm(np.average(normals, axis=0, weights=weights))
    found = consistency.pair_angle(np.float32([length]), rivals_of(weights))
    assert np.cos(found[0]) == pytest.approx(pair_mean(weights, normals @ normals.T), rel=1e-5)


def test_a_view_alone_cannot_be_judged():
    assert rivals_of(np.array([1.0, 0.001]))[0] < consistency.MIN_RIVALRY
    assert entropy([1.0, 0.001]) < consistency.MIN_WEIGHT_ENTROPY < entropy([1.0, 0.02])
    assert consistency.as_bytes(np.float32([0, 0.5, 1]), np.array([True, False, True])).tolist() == [1, 0, 255]


def looking_ahead(count: int) -> list[Camera]:
    return [Camera.looking(24, 24, np.radians(90))] * count


def semantics_of(distributions: np.ndarray, size: int = 24) -> Field:
    """Views that say one distribution (N, K) over classes 0..K-1 everywhere, best first."""
    order = np.argsort(-distributions, axis=1)
    shape = (len(distributions), size, size, distributions.shape[1])
    values = np.broadcast_to(order[:, None, None], shape).astype(np.uint16)
    said = np.take_along_axis(distributions, order, axis=1)[:, None, None]
    return Field("semantics", values, np.ones(shape[:3], bool), "class", confidence=np.broadcast_to(said, shape).astype("f4"))


def test_semantics_consistency_is_scipys_jensen_shannon_divergence():
    said = np.array([[0.6, 0.3, 0.1], [0.2, 0.7, 0.1]])
    fused = fuse({"semantics": semantics_of(said)}, looking_ahead(2), 32, 64, SETTINGS)
    expected = 1 - jensenshannon(*said, base=2) ** 2  # of two views of one weight, at most one bit
    found = fused["semantics_consistency"][fused["views"] == 2]
    np.testing.assert_allclose(found, 255 * expected, atol=1)


def test_what_the_top_classes_leave_counts_as_one_more_class():
    said = np.array([[0.6, 0.3], [0.6, 0.1], [0.0, 0.1]])
    fused = fuse({"semantics": semantics_of(said)}, looking_ahead(3), 32, 64, SETTINGS)
    whole = np.column_stack([said, 1 - said.sum(axis=1)])
    divergence = entropy(whole.mean(axis=0)) - entropy(whole, axis=1).mean()
    np.testing.assert_allclose(fused["semantics_consistency"][fused["views"] == 3], 255 * (1 - divergence / np.log(3)), atol=1)


def test_probabilities_rounded_up_beyond_one_agree_all_the_same():
    said = np.round(np.array([[0.5, 0.2575, 0.2496], [0.5, 0.2575, 0.2496]]) * 255 + 0.4) / 255
    assert said.sum(axis=1).min() > 1
    fused = fuse({"semantics": semantics_of(said)}, looking_ahead(2), 32, 64, SETTINGS)
    assert (fused["semantics_consistency"][fused["views"] == 2] >= 254).all()


def test_weights_of_semantics_enter_the_divergence():
    near, far = Camera.looking(24, 24, np.radians(90)), Camera.looking(24, 24, np.radians(90), yaw=0.5)
    said = np.array([[1.0, 0.0], [0.0, 1.0]])
    settings = FusionSettings(off_axis_power=4, edge_feather=0.2, classes=8)
    fused = fuse({"semantics": semantics_of(said)}, [near, far], 32, 64, settings)
    judged = fused["semantics_consistency"] > 0
    assert (fused["semantics_consistency"][judged] == 1).all(), "views that share no class never agree, whatever their weights"
    assert judged.sum() > 0.8 * (fused["views"] == 2).sum()


def test_normals_consistency_is_the_exponential_of_the_angle():
    angle = np.radians(12)
    normals = np.array([[0, 0, -1], [np.sin(angle), 0, -np.cos(angle)]], np.float32)
    values = np.broadcast_to(normals[:, None, None], (2, 24, 24, 3)).copy()
    field = Field("normals", values, np.ones(values.shape[:3], bool), "unit", "world")
    fused = fuse({"normals": field}, looking_ahead(2), 32, 64, SETTINGS)
    np.testing.assert_allclose(fused["normals_consistency"][fused["views"] == 2], 255 * np.exp(-12 / 20), atol=1)
    assert not fused["normals_consistency"][fused["views"] < 2].any()


def test_a_bias_that_all_views_share_is_not_seen():
    cameras = icosahedron(32)
    noise = np.exp(np.random.default_rng(2).normal(0, 0.05, (20, 32, 32)))
    every = np.ones(noise.shape, bool)

    def stored(bias: float) -> np.ndarray:
        depth = Field("depth", (3 * bias * noise).astype(np.float32), every, "metre", "ray")
        return fuse({"depth": depth}, cameras, 32, 64, SETTINGS)["depth_consistency"].astype(int)

    assert np.abs(stored(1.5) - stored(1)).max() <= 1
