"""How far an estimated path of a camera is from the true one: as a whole, and over steps of so many seconds.

Poses go from the camera to the world. Steps are in seconds, never in frames: over two clips of other rates, or of variable ones,
the same number of frames is another question.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from geometry.video.trajectory import align

Array = NDArray[np.floating]
LEAST_PATH = 0.05
"""Of the median depth: a camera that went less far shows too little parallax for the shape of its path to say anything."""
LEAST_FRAMES = 3
STEP_TOLERANCE = 0.25
"""Share of a step by which two frames may at most be nearer or farther apart: at 10 frames a second none are 0.25 s apart."""
MICROSECOND = 1e-6


@dataclass(frozen=True, eq=False)
class Trajectory:
    """Poses of T frames: ``seconds`` (T,) ascending, ``rotation`` (T, 3, 3) camera to world, ``position`` (T, 3) in the world.

    Where an estimate has no pose its position is NaN. ValueError if the shapes are others.
    """

    seconds: Array
    rotation: Array
    position: Array

    def __post_init__(self) -> None:
        shapes, frames = (self.rotation.shape, self.position.shape), len(self.seconds)
        if shapes != ((frames, 3, 3), (frames, 3)):
            raise ValueError(
                f"rotations and positions of {frames} frames must be ({frames}, 3, 3) and ({frames}, 3), got {shapes}"
            )


@dataclass(frozen=True)
class AbsoluteError:
    """``ate`` in the truth's unit, the ``scale`` that the estimate was multiplied by (NaN where it stands still), the true
    ``path`` length, the share of the frames that are ``posed``, and the ``reason`` if ``ate`` is NaN."""

    ate: float
    scale: float
    path: float
    posed: float
    reason: str = ""


@dataclass(frozen=True)
class RelativeError:
    """``translation`` in the truth's unit and ``rotation`` in degrees over ``pairs`` of frames that are ``apart`` seconds in the
    mean; both are NaN, for a ``reason``, or ``translation`` alone."""

    translation: float
    rotation: float
    apart: float
    pairs: int
    reason: str = ""


def absolute_error(estimate: Trajectory, truth: Trajectory, depth: float, with_scale: bool = True) -> AbsoluteError:
    """The absolute trajectory error: min over S of sqrt(mean_i |p_i - S q_i|^2) of true positions p and estimated ones q.

    Parameters
    ----------
    estimate, truth : Trajectory
        Of the same frames; ValueError if their times are others. Frames without an estimated pose do not count; ``posed`` says
        how many do.
    depth : float
        Median distance of what the camera sees, in the truth's unit.
    with_scale : bool
        S is of Sim(3); without, of SE(3), for estimates that are metric.

    Notes
    -----
    NaN if the true path is shorter than 5 % of ``depth``, or fewer than three frames have a pose. An estimate that stands still
    while the truth moves is no such case: whatever the scale, its error is the spread of the truth.

    Source: Sturm et al., "A benchmark for the evaluation of RGB-D SLAM systems", IROS 2012, eq. 3; S: Umeyama, 1991.
    """
    path, posed = path_length(truth.position), _posed(estimate, truth)
    reason = _not_judged(path, depth, posed)
    if reason:
        return AbsoluteError(float("nan"), float("nan"), path, float(posed.mean()), reason)
    fitted, scale = _fitted(estimate.position[posed], truth.position[posed], with_scale)
    return AbsoluteError(_rmse(fitted - truth.position[posed]), scale, path, float(posed.mean()))


def relative_error(estimate: Trajectory, truth: Trajectory, step: float, depth: float, with_scale: bool = True) -> RelativeError:
    """The relative pose error over ``step`` seconds, E_i = (Q_i^-1 Q_j)^-1 (P_i^-1 P_j) of true poses Q and estimated ones P.

    ``translation`` is sqrt(mean |t(E_i)|^2), after the scale of :func:`absolute_error`; ``rotation`` the median angle of R(E_i).
    Other arguments are those of :func:`absolute_error`; j is the frame nearest to ``step`` seconds after i, see
    :func:`pairs_apart`.

    Notes
    -----
    With a scale, ``translation`` is NaN where :func:`absolute_error` is: a scale of a path that is none says nothing. A metric
    estimate is judged on a camera that stands still too, and turning always is.

    Source: Sturm et al., IROS 2012, eq. 1 and 2.
    """
    posed = _posed(estimate, truth)
    first, second = pairs_apart(truth.seconds, step)
    both = posed[first] & posed[second]
    first, second = first[both], second[both]
    if not len(first):
        reason = f"no two frames with a pose are {step:g} seconds apart"
        return RelativeError(float("nan"), float("nan"), float("nan"), 0, reason)
    reason = _not_judged(path_length(truth.position), depth, posed) if with_scale else ""
    translation = float("nan")
    if not reason:
        scale = _fitted(estimate.position[posed], truth.position[posed], with_scale)[1]
        translation = _rmse(np.nan_to_num(scale) * _moved(estimate, first, second) - _moved(truth, first, second))
    error = _turned(truth, first, second).transpose(0, 2, 1) @ _turned(estimate, first, second)
    angle = np.degrees(np.median(Rotation.from_matrix(error).magnitude()))
    apart = float(np.mean(truth.seconds[second] - truth.seconds[first]))
    return RelativeError(translation, float(angle), apart, len(first), reason)


def path_length(positions: Array) -> float:
    """How far it is along positions (T, 3)."""
    return float(np.linalg.norm(np.diff(positions, axis=0), axis=1).sum())


def pairs_apart(seconds: Array, step: float) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """First and second of each pair of frames, at times (T,) ascending, that are about ``step`` seconds apart.

    The second is the one nearest to that, and the earlier of two that are as near. It may be off by half of the usual time
    between frames, and by no more than a quarter of the step.
    """
    if len(seconds) < 2:
        return np.zeros(0, np.intp), np.zeros(0, np.intp)
    wanted = seconds + step
    after = np.clip(np.searchsorted(seconds, wanted), 1, len(seconds) - 1)
    earlier = wanted - seconds[after - 1] <= seconds[after] - wanted + MICROSECOND
    second = np.where(earlier, after - 1, after)
    most = min(float(np.median(np.diff(seconds))) / 2, STEP_TOLERANCE * step) + MICROSECOND
    near = np.abs(seconds[second] - wanted) <= most
    return np.flatnonzero(near), second[near]


def _posed(estimate: Trajectory, truth: Trajectory) -> NDArray[np.bool_]:
    """Which frames (T,) have an estimated pose."""
    if len(estimate.seconds) != len(truth.seconds) or np.abs(estimate.seconds - truth.seconds).max(initial=0) > MICROSECOND:
        raise ValueError("the estimate is of other times than the truth: take the true poses at its frames first")
    return np.all(np.isfinite(estimate.position), axis=1)


def _not_judged(path: float, depth: float, posed: NDArray[np.bool_]) -> str:
    if posed.sum() < LEAST_FRAMES:
        return f"{posed.sum()} of {len(posed)} frames have a pose, {LEAST_FRAMES} are needed"
    if path < LEAST_PATH * depth:
        return f"the camera went {path:.3g}, less than {LEAST_PATH:.0%} of the median depth {depth:.3g}"
    return ""


def _fitted(estimate: Array, truth: Array, with_scale: bool) -> tuple[Array, float]:
    """Estimated positions (T, 3) after the best S, and its scale; that of positions that are all one is NaN, and any as good."""
    still = with_scale and not np.ptp(estimate, axis=0).any()
    best = align(estimate, truth, with_scale and not still)
    return best(estimate), float("nan") if still else best.scale


def _moved(path: Trajectory, first: NDArray[np.intp], second: NDArray[np.intp]) -> Array:
    """Where the second camera is (P, 3) in the frame of the first one."""
    return np.einsum("nji,nj->ni", path.rotation[first], path.position[second] - path.position[first])


def _turned(path: Trajectory, first: NDArray[np.intp], second: NDArray[np.intp]) -> Array:
    """Rotations (P, 3, 3) from the second camera to the first one."""
    return path.rotation[first].transpose(0, 2, 1) @ path.rotation[second]


def _rmse(off: Array) -> float:
    """Root of the mean squared length of vectors (N, 3)."""
    return float(np.sqrt(np.mean(np.sum(off**2, axis=1))))
