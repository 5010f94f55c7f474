"""Flicker in a room of closed form: none of the truth, exactly what was added to it, and per second, whatever the rate."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from geometry.directions import erp_area_weights, erp_directions
from metrics.video.flicker import derotated_speed, flicker, true_flicker
from metrics.video.trajectory import Trajectory

HEIGHT = 48
HALF = np.array([2.0, 1.4, 3.0])


def room(position: np.ndarray, rotation: np.ndarray, height: int = HEIGHT) -> np.ndarray:
    """Distance (H, W) from inside of a box around the origin to its walls."""
    directions = erp_directions(height, 2 * height) @ rotation.T
    return np.min((np.sign(directions) * HALF - position) / directions, axis=-1)


def filmed(
    count: int = 6, rate: float = 10.0, turn: float = 0.05, speed: float = 0.5, height: int = HEIGHT
) -> tuple[np.ndarray, Trajectory]:
    seconds = np.arange(count) / rate
    turns = Rotation.from_rotvec(np.outer(np.arange(count), [0.01, turn, -0.02])).as_matrix()
    poses = Trajectory(seconds, turns, np.outer(seconds * speed, [0.6, 0.0, 0.8]) - [0.3, 0.1, 0.7])
    return np.stack([room(at, turned, height) for at, turned in zip(poses.position, poses.rotation)]), poses


def test_the_truth_does_not_flicker() -> None:
    depth, poses = filmed()
    assert true_flicker(depth, depth, poses)["flicker"] == 0
    assert true_flicker(depth, depth, poses)["judged"] > 0.95  # some corners are hidden
    assert flicker(depth, poses)["judged"] == pytest.approx(1)


def test_without_truth_there_is_a_floor_that_falls_with_the_square_of_the_rows() -> None:
    """Between the centres of pixels distances are not linear."""
    floors = [flicker(*filmed(3, height=height))["flicker"] for height in (32, 64, 128)]
    assert floors[0] < 3e-3
    np.testing.assert_allclose(np.array(floors[:-1]) / floors[1:], 4, rtol=0.15)


def test_scales_that_jump_are_measured_exactly() -> None:
    depth, poses = filmed()
    scales = np.array([0.0, 0.1, 0.07, 0.07, -0.2, 0.0])
    jumps = np.abs(np.diff(scales))
    said = depth * np.exp(scales)[:, None, None]
    found = true_flicker(said, depth, poses)
    assert found["flicker"] == pytest.approx(jumps.mean(), abs=1e-9)
    assert found["flicker_per_second"] == pytest.approx(10 * jumps.mean(), abs=1e-8)


def test_an_error_that_stays_with_its_surface_does_not_flicker_and_one_that_stays_with_the_camera_does() -> None:
    depth, poses = filmed()
    rays = [erp_directions(HEIGHT, 2 * HEIGHT) @ turned.T for turned in poses.rotation]
    points = [at + one[..., None] * ray for at, one, ray in zip(poses.position, depth, rays)]
    on_walls = np.stack([one * np.exp(0.2 * np.sin(2 * at.sum(axis=-1))) for one, at in zip(depth, points)])
    assert true_flicker(on_walls, depth, poses)["flicker"] < 2e-3
    pattern = np.exp(0.2 * np.sin(6 * erp_directions(HEIGHT, 2 * HEIGHT).sum(axis=-1)))
    assert true_flicker(depth * pattern, depth, poses)["flicker"] > 0.02


def test_noise_has_the_median_of_its_differences() -> None:
    """A camera that stands still: differences of two normal errors, whose absolute median is 0.6745 sqrt(2) sigma."""
    depth, poses = filmed(4, turn=0.0, speed=0.0)
    still = Trajectory(poses.seconds, np.tile(np.eye(3), (4, 1, 1)), np.tile(poses.position[:1], (4, 1)))
    depth = np.tile(room(still.position[0], np.eye(3)), (4, 1, 1))
    noise = np.random.default_rng(0).normal(size=depth.shape)
    for figures in (flicker(depth * np.exp(0.03 * noise), still), true_flicker(depth * np.exp(0.03 * noise), depth, still)):
        assert figures["flicker"] == pytest.approx(0.6745 * np.sqrt(2) * 0.03, rel=0.05)
        assert figures["motion"] == pytest.approx(0, abs=1e-9)


def test_without_truth_wrong_poses_are_seen_and_with_it_turning_costs_nothing() -> None:
    depth, poses = filmed()
    wrong = Trajectory(poses.seconds, poses.rotation, 10 * poses.position)
    assert flicker(depth, wrong)["flicker"] > 10 * flicker(depth, poses)["flicker"]
    turning, turned = filmed(speed=0.0)
    assert true_flicker(turning, turning, turned)["flicker"] == 0
    assert flicker(turning, turned)["flicker"] < 1e-3
    assert flicker(turning, turned)["motion"] == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("rate", [5.0, 10.0])
def test_motion_is_in_degrees_a_second_and_without_turning(rate: float) -> None:
    depth, poses = filmed(rate=rate, turn=0.3)
    moved = poses.position[1] - poses.position[0]
    directions = erp_directions(HEIGHT, 2 * HEIGHT) @ poses.rotation[0].T
    points = depth[0][..., None] * directions
    cosine = (
        np.sum(points * (points - moved), axis=-1) / np.linalg.norm(points, axis=-1) / np.linalg.norm(points - moved, axis=-1)
    )
    speed = np.degrees(np.arccos(cosine)) * rate
    many = np.repeat(speed, np.round(1000 * erp_area_weights(HEIGHT)).astype(int), axis=0)
    pair = Trajectory(poses.seconds[:2], poses.rotation[:2], poses.position[:2])
    assert flicker(depth[:2], pair)["motion"] == pytest.approx(np.median(many), rel=1e-3)


def test_a_speed_is_what_is_left_of_a_turn() -> None:
    first = erp_directions(8, 16)
    turn = Rotation.from_rotvec([0.1, 0.4, -0.2])
    np.testing.assert_allclose(derotated_speed(first, first @ turn.as_matrix(), turn.as_matrix(), 0.1), 0, atol=1e-9)
    moved = Rotation.from_rotvec([0, np.radians(2), 0]).apply(np.array([[0, 0, 1.0]]))
    assert derotated_speed(np.array([[0, 0, 1.0]]), moved, np.eye(3), 0.1)[0] == pytest.approx(20)


def test_what_does_not_count_does_not_count() -> None:
    depth, poses = filmed()
    said, counted = depth.copy(), np.ones(depth.shape, bool)
    said[:, 10:20, 30:50] *= np.exp(np.arange(6))[:, None, None]
    counted[:, 10:20, 30:50] = False
    assert true_flicker(said, depth, poses, counted)["flicker"] == 0
    said[~counted] = np.nan
    assert true_flicker(said, depth, poses)["flicker"] == 0
    share = (counted[0] * erp_area_weights(HEIGHT)[:, None]).sum() / erp_area_weights(HEIGHT).sum() / (2 * HEIGHT)
    assert flicker(said, poses)["judged"] == pytest.approx(share, abs=0.03)
    lost = Trajectory(poses.seconds, poses.rotation, np.where(np.arange(6)[:, None] == 3, np.nan, poses.position))
    assert flicker(depth, lost)["judged"] == pytest.approx(3 / 5)
    assert flicker(depth, lost)["flicker"] == pytest.approx(flicker(depth, poses)["flicker"], rel=0.5)
    nothing = flicker(np.zeros_like(depth), poses)
    assert np.isnan([nothing["flicker"], nothing["flicker_per_second"], nothing["motion"]]).all()
    assert nothing["judged"] == 0
