"""Seam ratios are about 1 for what is continuous on the sphere, see a cut at the wrap or a pole, and are counted by hand."""

import math

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from geometry.directions import angles_to_directions, erp_directions
from geometry.video.flow import bearings_to_flow
from metrics.video.seams import flow_seam_ratios, seam_ratios, view_means
from scenes.build import build_scene
from scenes.render import render_erp

HEIGHT, WIDTH = 64, 128


def smooth(turn: float = 0.0) -> np.ndarray:
    """A picture (H, W, 3) whose values are a smooth function of place."""
    directions = erp_directions(HEIGHT, WIDTH) @ Rotation.from_rotvec([0.2, turn, 0.4]).as_matrix().T
    return 128 + 100 * np.sin(3 * directions + np.roll(directions, 1, axis=-1) ** 2)


def wrap_by_hand(picture: np.ndarray) -> float:
    """The ratio, pixel by pixel."""
    height, width = picture.shape[:2]
    weights = [math.cos(math.pi * (0.5 - (i + 0.5) / height)) for i in range(height)]

    def step(j: int) -> float:
        return sum(weights[i] * math.dist(picture[i, j], picture[i, (j + 1) % width]) for i in range(height))

    around = [*range(width - 8, width - 1), *range(7)]
    return step(width - 1) / (sum(map(step, around)) / len(around))


@pytest.mark.parametrize("seed", range(3))
def test_the_wrap_is_counted_by_hand(seed: int) -> None:
    noise = np.random.default_rng(seed).integers(0, 255, (16, 32, 3))
    noise[:, 0] += 40 * seed
    assert seam_ratios(noise)["wrap_ratio"] == pytest.approx(wrap_by_hand(noise), rel=1e-12)


def test_what_is_continuous_has_no_seam() -> None:
    for turn in (0.0, 1.0, 2.5):
        found = seam_ratios(smooth(turn))
        assert found["wrap_ratio"] == pytest.approx(1, abs=0.2)
        assert found["pole_ratio"] == pytest.approx(1, abs=0.2)
    scene = build_scene("street", 3)
    rendered = render_erp(scene, scene.spots[0], HEIGHT, WIDTH, supersample=2).image
    assert seam_ratios(rendered)["wrap_ratio"] < 1.5


def test_a_cut_is_seen_where_it_is() -> None:
    brighter = smooth() * np.linspace(1, 1.2, WIDTH)[None, :, None]
    assert seam_ratios(brighter)["wrap_ratio"] > 3
    assert seam_ratios(np.roll(brighter, WIDTH // 2, axis=1))["wrap_ratio"] < 1.2
    planar = smooth() + 40 * np.cos(np.linspace(0, 2 * np.pi, WIDTH, endpoint=False))[None, :, None]  # as far as the poles
    assert seam_ratios(planar)["pole_ratio"] > 3
    planar[HEIGHT // 2 :] = smooth()[HEIGHT // 2 :]
    assert seam_ratios(planar)["pole_ratio"] > 3
    assert seam_ratios(planar[::-1])["pole_ratio"] > 3
    assert seam_ratios(planar)["wrap_ratio"] < 1.2


def test_flow_of_a_camera_that_turns_or_goes_on_has_no_seam() -> None:
    directions = erp_directions(HEIGHT, WIDTH)
    for turn in ([0, 0.1, 0], [0.07, 0.05, -0.1]):
        flow = bearings_to_flow(directions @ Rotation.from_rotvec(turn).as_matrix())
        found = flow_seam_ratios(flow)
        assert found["wrap_ratio"] == pytest.approx(1, abs=0.05)
        assert found["pole_ratio"] == pytest.approx(1, abs=0.05)
    gone = directions - [0.02, 0.01, 0.1]
    flow = bearings_to_flow(gone / np.linalg.norm(gone, axis=-1, keepdims=True))
    assert flow_seam_ratios(flow)["wrap_ratio"] == pytest.approx(1, abs=0.1)
    flow[:, : WIDTH // 2, 0] += 1
    assert flow_seam_ratios(flow)["wrap_ratio"] > 5


def test_what_does_not_vary_has_no_ratio() -> None:
    flat = np.zeros((16, 32))
    assert all(math.isnan(value) for value in seam_ratios(flat).values())
    flat[:, :16] = 1
    assert seam_ratios(flat)["wrap_ratio"] == math.inf
    with pytest.raises(ValueError, match="16 columns"):
        seam_ratios(np.zeros((6, 12)))


def test_views_hold_what_their_cameras_see() -> None:
    """Of an error that is the square of the sine of latitude, in closed form over a view's plane."""
    error = erp_directions(256, 512)[..., 1] ** 2
    found = view_means(error)
    at = (np.arange(400) + 0.5) / 200 - 1
    x, y = np.meshgrid(at, at)
    for name, pitch in (("horizon_views", 0.0), ("pole_views", math.radians(60))):
        height = (math.sin(pitch) + y * math.cos(pitch)) / np.sqrt(1 + x**2 + y**2)
        assert found[name] == pytest.approx((height**2).mean(), abs=2e-3)


def test_errors_at_the_poles_are_seen_there_alone() -> None:
    latitude = np.linspace(90, -90, 65)[:-1, None] - 90 / 64
    directions = angles_to_directions(np.zeros((1, WIDTH)), np.radians(latitude))
    caps = np.where(np.abs(directions[..., 1]) > np.sin(np.radians(80)), 1.0, 0.0)
    found = view_means(caps)
    assert found["horizon_views"] == 0
    assert 0.02 < found["pole_views"] < 0.2
    caps[30:34] = np.nan
    assert view_means(caps)["horizon_views"] == 0
    assert math.isnan(view_means(np.full((16, 32), np.nan))["pole_views"])
