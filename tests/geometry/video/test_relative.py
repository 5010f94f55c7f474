"""Poses from bearings: exact without noise, near the truth with it, and not misled by what moves or by turns."""

import cv2
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from geometry.video.epipolar import eight_point, epipolar_angles, essential_of, pose_in_front, poses_of, triangulate
from geometry.video.flow import angles_between
from geometry.video.relative import relative_pose, rotation_between

SIGMA = np.radians(0.05)


def unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def two_views(seed: int, count: int = 200, outliers: float = 0.0, noise: float = 0.0, baseline: float = 0.5):
    """Bearings (N, 3) from two places in the midst of points, and the pose of the second camera in the first one's frame."""
    generator = np.random.default_rng(seed)
    points = unit(generator.normal(size=(count, 3))) * generator.uniform(1, 6, (count, 1))
    rotation = Rotation.from_rotvec(generator.normal(size=3) * 0.2).as_matrix()
    position = unit(generator.normal(size=3)) * baseline
    first, second = unit(points), unit((points - position) @ rotation)
    moved = generator.random(count) < outliers
    second = np.where(moved[:, None], unit(second + 0.3 * generator.normal(size=second.shape)), second)
    first, second = (unit(one + noise * generator.normal(size=one.shape)) for one in (first, second))
    return first, second, rotation, position, moved, np.linalg.norm(points, axis=1)


def degrees(first: np.ndarray, second: np.ndarray) -> float:
    return float(np.degrees(Rotation.from_matrix(first.T @ second).magnitude()))


@pytest.mark.parametrize("seed", range(5))
def test_without_noise_all_is_exact(seed: int) -> None:
    first, second, rotation, position, _, distance = two_views(seed)
    essential = eight_point(first, second)
    assert epipolar_angles(essential, first, second).max() < 1e-9
    found, direction = pose_in_front(essential, first, second)
    np.testing.assert_allclose(found, rotation, atol=1e-8)
    np.testing.assert_allclose(direction, unit(position), atol=1e-8)
    from_first, from_second, parallax = triangulate(first, second, rotation, position)
    np.testing.assert_allclose(from_first, distance, rtol=1e-6)
    assert (from_second > 0).all()
    np.testing.assert_allclose(parallax, angles_between(first, second @ rotation.T), atol=1e-9)


def test_the_four_poses_are_those_of_opencv() -> None:
    _, _, rotation, position, _, _ = two_views(1)
    essential = essential_of(rotation, unit(position))
    one, other, direction = cv2.decomposeEssentialMat(essential)
    theirs = [(turn, sign * direction[:, 0]) for turn in (one, other) for sign in (1, -1)]
    for turn, where in poses_of(essential):
        assert any(np.allclose(turn, theirs_turn) and np.allclose(where, theirs_where) for theirs_turn, theirs_where in theirs)


def test_eight_points_are_fitted_as_opencv_fits_them_in_a_plane() -> None:
    """Within a narrow view, the essential matrix of bearings is that of normalised image coordinates."""
    generator = np.random.default_rng(4)
    points = np.column_stack([generator.uniform(-2, 2, (100, 2)), generator.uniform(4, 9, 100)])
    rotation, position = Rotation.from_rotvec([0.02, -0.1, 0.05]).as_matrix(), np.array([0.6, 0.1, -0.2])
    after = (points - position) @ rotation
    theirs, _ = cv2.findEssentialMat(points[:, :2] / points[:, 2:], after[:, :2] / after[:, 2:], np.eye(3), threshold=1e-6)
    ours = eight_point(unit(points), unit(after)).T  # theirs is second . E first
    scale = np.sign(np.sum(ours * theirs)) * np.linalg.norm(ours) / np.linalg.norm(theirs)
    np.testing.assert_allclose(ours, scale * theirs, atol=1e-6)


@pytest.mark.parametrize("seed", range(6))
def test_what_moves_and_noise_do_not_mislead(seed: int) -> None:
    first, second, rotation, position, moved, _ = two_views(seed, 400, outliers=0.3, noise=SIGMA)
    found = relative_pose(first, second, SIGMA, np.random.default_rng(seed))
    assert found.motion == "translation"
    assert degrees(found.rotation, rotation) < 0.05
    assert np.degrees(angles_between(found.position, unit(position))) < 0.5
    assert found.inliers[~moved].mean() > 0.9
    assert found.inliers[moved].mean() < 0.2


def test_the_same_generator_gives_the_same_pose() -> None:
    first, second, *_ = two_views(3, outliers=0.3, noise=SIGMA)
    poses = [relative_pose(first, second, SIGMA, np.random.default_rng(7)) for _ in range(2)]
    np.testing.assert_array_equal(poses[0].rotation, poses[1].rotation)
    np.testing.assert_array_equal(poses[0].inliers, poses[1].inliers)


@pytest.mark.parametrize("seed", range(10))
def test_a_still_and_a_turning_camera_are_told_from_one_that_goes(seed: int) -> None:
    first, _, rotation, _, _, _ = two_views(seed, 300)
    generator = np.random.default_rng(seed)
    noisy = [unit(first + SIGMA * generator.normal(size=first.shape)) for _ in range(3)]
    still = relative_pose(noisy[0], noisy[1], SIGMA, generator)
    assert (still.motion, still.position.tolist()) == ("static", [0, 0, 0])
    turning = relative_pose(noisy[0], noisy[2] @ rotation, SIGMA, generator)
    assert turning.motion == "rotation"
    assert degrees(turning.rotation, rotation) < 0.02


def test_a_camera_that_only_goes_is_not_taken_for_a_turning_one() -> None:
    first, _, _, _, _, distance = two_views(2, 300, noise=0)
    points = first * distance[:, None]
    second = unit(points - np.array([0.0, 0.0, 0.4]))
    found = relative_pose(first, second, SIGMA, np.random.default_rng(0))
    assert found.motion == "translation"
    assert degrees(found.rotation, np.eye(3)) < 1e-3


def test_a_rotation_is_that_of_scipy() -> None:
    first, _, rotation, _, _, _ = two_views(5)
    second = unit(first @ rotation + 0.01 * np.random.default_rng(0).normal(size=first.shape))
    theirs, _ = Rotation.align_vectors(first, second)
    np.testing.assert_allclose(rotation_between(first, second), theirs.as_matrix(), atol=1e-9)


def test_too_few_points_are_refused() -> None:
    with pytest.raises(ValueError, match="got 7"):
        relative_pose(np.eye(3)[[0, 1, 2, 0, 1, 2, 0]], np.eye(3)[[0, 1, 2, 0, 1, 2, 0]], SIGMA, np.random.default_rng(0))
