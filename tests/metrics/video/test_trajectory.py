"""Errors of trajectories are evo's to 1e-9 where it is installed, and always those of SciPy, matrices and loops."""

from typing import Any

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.spatial.transform import Rotation

from metrics.video.trajectory import Trajectory, absolute_error, pairs_apart, path_length, relative_error

DEPTH = 3.0


def walk(seed: int, count: int = 40, rate: float = 10.0) -> Trajectory:
    generator = np.random.default_rng(seed)
    turns = Rotation.from_rotvec(np.cumsum(0.1 * generator.normal(size=(count, 3)), axis=0))
    positions = np.cumsum(0.1 * generator.normal(size=(count, 3)) + [0.05, 0, 0.02], axis=0)
    return Trajectory(np.arange(count) / rate, turns.as_matrix(), positions)


def estimated(truth: Trajectory, seed: int, noise: float = 0.05, scale: float = 0.4) -> Trajectory:
    """The truth in another world, of another scale, with noise."""
    generator, world = np.random.default_rng(seed), Rotation.from_rotvec([0.3, -2.0, 0.5])
    off = Rotation.from_rotvec(noise * generator.normal(size=(len(truth.seconds), 3))).as_matrix()
    positions = scale * world.apply(truth.position + noise * generator.normal(size=truth.position.shape)) + [1, 2, 3]
    return Trajectory(truth.seconds, world.as_matrix() @ truth.rotation @ off, positions)


def matrices(path: Trajectory, scale: float = 1.0) -> list[np.ndarray]:
    """Poses (4, 4), camera to world."""
    poses = np.tile(np.eye(4), (len(path.seconds), 1, 1))
    poses[:, :3, :3], poses[:, :3, 3] = path.rotation, scale * path.position
    return list(poses)


@pytest.mark.parametrize("with_scale", [True, False])
@pytest.mark.parametrize("seed", range(5))
def test_they_are_evos(seed: int, with_scale: bool) -> None:
    reason = "evo (GPL-3) is not installed: pip install --no-deps evo"
    theirs: Any = pytest.importorskip("evo.core.metrics", reason=reason)
    paths: Any = pytest.importorskip("evo.core.trajectory", reason=reason)
    truth = walk(seed)
    estimate = estimated(truth, seed + 100, scale=0.4 if with_scale else 1.0)
    true_path, path = (paths.PoseTrajectory3D(poses_se3=matrices(one), timestamps=one.seconds) for one in (truth, estimate))
    scale = path.align(true_path, correct_scale=with_scale)[2]
    absolute = theirs.APE(theirs.PoseRelation.translation_part)
    absolute.process_data((true_path, path))
    ours = absolute_error(estimate, truth, DEPTH, with_scale)
    assert ours.ate == pytest.approx(absolute.get_statistic(theirs.StatisticsType.rmse), abs=1e-9)
    assert ours.scale == pytest.approx(scale, abs=1e-9)
    assert ours.path == pytest.approx(true_path.path_length, abs=1e-9)
    for frames in (1, 3, 10):
        relations = (theirs.PoseRelation.translation_part, theirs.StatisticsType.rmse, "translation")
        turns = (theirs.PoseRelation.rotation_angle_deg, theirs.StatisticsType.median, "rotation")
        found = relative_error(estimate, truth, frames / 10, DEPTH, with_scale)
        assert found.pairs == 40 - frames
        for relation, statistic, name in (relations, turns):
            relative = theirs.RPE(relation, delta=frames, delta_unit=theirs.Unit.frames, all_pairs=True)
            relative.process_data((true_path, path))
            assert getattr(found, name) == pytest.approx(relative.get_statistic(statistic), abs=1e-9)


@pytest.mark.parametrize("seed", range(5))
def test_the_absolute_error_is_that_of_scipys_rotation(seed: int) -> None:
    """The scale does not change the best rotation; it is looked for by hand."""
    truth = walk(seed)
    estimate = estimated(truth, seed + 100)
    own, other = (one.position - one.position.mean(axis=0) for one in (estimate, truth))
    turned = Rotation.align_vectors(other, own)[0].apply(own)

    def error(scale: float) -> float:
        return float(np.sqrt(np.mean(np.sum((scale * turned - other) ** 2, axis=1))))

    ours = absolute_error(estimate, truth, DEPTH)
    best = minimize_scalar(error, bounds=(0, 10), method="bounded", options={"xatol": 1e-12})
    assert ours.ate == pytest.approx(best.fun, abs=1e-9)
    assert ours.scale == pytest.approx(best.x, rel=1e-5)
    assert absolute_error(estimate, truth, DEPTH, with_scale=False).ate == pytest.approx(error(1.0), abs=1e-9)


@pytest.mark.parametrize("seed", range(5))
def test_the_relative_error_is_that_of_four_by_four_matrices(seed: int) -> None:
    truth = walk(seed)
    estimate = estimated(truth, seed + 100)
    true, said = matrices(truth), matrices(estimate, absolute_error(estimate, truth, DEPTH).scale)
    errors = []
    for i in range(40 - 5):
        went, should = np.linalg.solve(said[i], said[i + 5]), np.linalg.solve(true[i], true[i + 5])
        errors.append(np.linalg.solve(should, went))
    found = relative_error(estimate, truth, 0.5, DEPTH)
    lengths = [float(np.sqrt((one[:3, 3] ** 2).sum())) for one in errors]
    angles = [np.degrees(np.arccos(np.clip((np.trace(one[:3, :3]) - 1) / 2, -1, 1))) for one in errors]
    assert found.translation == pytest.approx(np.sqrt(np.mean(np.square(lengths))), abs=1e-9)
    assert found.rotation == pytest.approx(np.median(angles), abs=1e-6)
    assert (found.pairs, found.apart) == (35, pytest.approx(0.5))


def test_the_truth_in_another_world_has_no_error() -> None:
    truth = walk(0)
    same = estimated(truth, 1, noise=0.0)
    found = absolute_error(same, truth, DEPTH)
    assert (found.ate, found.scale) == (pytest.approx(0, abs=1e-12), pytest.approx(1 / 0.4))
    relative = relative_error(same, truth, 1.0, DEPTH)
    assert (relative.translation, relative.rotation) == (pytest.approx(0, abs=1e-12), pytest.approx(0, abs=1e-5))


def test_known_errors_have_their_values() -> None:
    """A camera that turns 1 degree too far from frame to frame, and walks a tenth too far by its own unit."""
    truth = Trajectory(np.arange(30) / 10, np.tile(np.eye(3), (30, 1, 1)), np.outer(np.arange(30) / 10, [1.0, 0, 0]))
    turns = Rotation.from_rotvec(np.outer(np.radians(np.arange(30)), [0, 1, 0])).as_matrix()
    found = relative_error(Trajectory(truth.seconds, turns, truth.position), truth, 0.5, DEPTH)
    assert found.rotation == pytest.approx(5.0)
    longer = Trajectory(truth.seconds, truth.rotation, 1.1 * truth.position)
    assert relative_error(longer, truth, 0.5, DEPTH, with_scale=False).translation == pytest.approx(0.05)
    assert relative_error(longer, truth, 0.5, DEPTH).translation == pytest.approx(0, abs=1e-12)
    # Up and down by 1 cm, frame by frame: 1 cm in the mean square, less what a tilt of the path takes of it.
    shaken = Trajectory(truth.seconds, truth.rotation, truth.position + np.outer((-1.0) ** np.arange(30), [0, 0.01, 0]))
    assert absolute_error(shaken, truth, DEPTH, with_scale=False).ate == pytest.approx(0.01, rel=2e-3)


def test_a_path_that_is_none_is_not_judged_but_its_turning_is() -> None:
    still = Trajectory(np.arange(20) / 10, walk(0, 20).rotation, np.zeros((20, 3)))
    noise = np.random.default_rng(0).normal(size=(20, 3))
    estimate = Trajectory(still.seconds, still.rotation, 0.01 * noise)
    found = absolute_error(estimate, still, DEPTH)
    assert np.isnan(found.ate)
    assert np.isnan(found.scale)
    assert "less than 5% of the median depth" in found.reason
    relative = relative_error(estimate, still, 0.5, DEPTH)
    assert np.isnan(relative.translation)
    assert (relative.rotation, relative.reason) == (pytest.approx(0, abs=1e-5), found.reason)
    assert relative_error(estimate, still, 0.5, DEPTH, with_scale=False).translation > 0.01  # metres that it drifted
    edge = Trajectory(np.arange(4.0), np.tile(np.eye(3), (4, 1, 1)), np.outer(np.arange(4), [0.05, 0, 0]))  # 0.15 m
    assert np.isnan(absolute_error(edge, edge, 3.001).ate)
    assert absolute_error(edge, edge, 2.999).ate == pytest.approx(0, abs=1e-12)


def test_an_estimate_that_stands_still_is_no_excuse() -> None:
    truth = walk(3)
    still = Trajectory(truth.seconds, truth.rotation, np.ones_like(truth.position))
    found = absolute_error(still, truth, DEPTH)
    assert found.ate == pytest.approx(np.sqrt(truth.position.var(axis=0).sum()))
    assert np.isnan(found.scale)
    steps = truth.position[5:] - truth.position[:-5]
    assert relative_error(still, truth, 0.5, DEPTH).translation == pytest.approx(np.sqrt((steps**2).sum(axis=1).mean()))


def test_frames_without_a_pose_are_counted() -> None:
    truth = walk(4)
    estimate = estimated(truth, 5, noise=0.0)
    estimate.position[10:20] = np.nan
    found = absolute_error(estimate, truth, DEPTH)
    assert (found.ate, found.posed, found.path) == (pytest.approx(0, abs=1e-12), 0.75, path_length(truth.position))
    assert relative_error(estimate, truth, 0.1, DEPTH).pairs == 9 + 19
    estimate.position[2:] = np.nan
    assert absolute_error(estimate, truth, DEPTH).reason == "2 of 40 frames have a pose, 3 are needed"
    estimate.position[:] = np.nan
    found_relative = relative_error(estimate, truth, 0.1, DEPTH)
    assert np.isnan(found_relative.rotation)
    assert found_relative.reason == "no two frames with a pose are 0.1 seconds apart"


def test_steps_are_in_seconds_at_any_rate() -> None:
    variable = np.array([0.0, 0.2, 0.25, 0.6, 0.85, 2.0])
    first, second = pairs_apart(variable, 0.25)
    assert list(zip(first.tolist(), second.tolist())) == [(0, 2), (3, 4)]
    first, second = pairs_apart(np.arange(50) / 10, 0.25)
    assert (len(first), set(second - first)) == (48, {2})  # 0.2 is as near as 0.3
    for seconds in (np.arange(9.0), np.zeros(1), np.zeros(0)):
        assert [len(one) for one in pairs_apart(seconds, 0.25)] == [0, 0]


def test_other_shapes_and_times_are_refused() -> None:
    truth = walk(0)
    with pytest.raises(ValueError, match=r"must be \(40, 3, 3\) and \(40, 3\), got"):
        Trajectory(truth.seconds, np.zeros((40, 4, 4)), truth.position)
    for seconds in (truth.seconds + 0.05, truth.seconds[:30]):
        other = Trajectory(seconds, truth.rotation[: len(seconds)], truth.position[: len(seconds)])
        with pytest.raises(ValueError, match="other times than the truth"):
            absolute_error(other, truth, DEPTH)
