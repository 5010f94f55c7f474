"""How much depth flickers: by how much of itself a surface's distance changes from one frame to the next.

Both figures follow a point of a surface from frame to frame, by depth and the camera's poses, rather than look at one pixel: a
camera that moves sees other surfaces there. A clip in which nothing moves is easily steady, so how much the camera's motion shows
is said beside each of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geometry.directions import erp_area_weights, erp_directions
from geometry.video.flow import rigid_bearings
from geometry.video.warp import sampled_along
from metrics.normals import angles, weighted_median
from metrics.video.trajectory import Trajectory

Array = NDArray[np.floating]
Mask = NDArray[np.bool_]
SAME_SURFACE = 0.05
"""Log distance up to which what the next frame shows is the point that was followed, and not something before it."""
NAMES = ("flicker", "flicker_per_second", "motion", "judged")


def flicker(depth: Sequence[Array] | Array, poses: Trajectory, counted: Sequence[Mask] | Mask | None = None) -> dict[str, float]:
    """Flicker without truth: median over u of |log d_{t+1}(u') - log |d_t(u) b(u) - c||, u' where the next camera, at c, sees u.

    Parameters
    ----------
    depth : T of (H, W)
        Radial distance in the unit of the poses; what is not finite and positive does not count.
    poses : Trajectory
        Of the T frames, true or estimated. Errors of theirs are part of the figure; from and to a frame without a pose nothing is
        judged.
    counted : T of (H, W) bool, optional
        Such as what was observed, without things that move; all by default.

    Returns
    -------
    dict
        ``flicker``: of each pair of frames the median over pixels, by solid angle, in log distance (0.01 is 1 %), and of these
        the mean over pairs, so that a scale that jumps once counts. ``flicker_per_second``: the same, each over the time between
        its frames. ``motion``: the camera's, see :func:`derotated_speed`, a mean of medians too. ``judged``: the share of the
        sphere that could be. NaN where nothing can.

    Notes
    -----
    A step that is seen between the centres of pixels has a floor that falls with the square of the rows: in a plain room 0.0007
    with 48 rows.
    """
    logs = _logs(depth, counted)
    steps = _steps(logs, poses)
    return _means([_measured(step, sampled_along(after, step.seen) - step.expected) for step, after in zip(steps, logs[1:])])


def true_flicker(
    depth: Sequence[Array] | Array,
    truth: Sequence[Array] | Array,
    poses: Trajectory,
    counted: Sequence[Mask] | Mask | None = None,
) -> dict[str, float]:
    """Flicker by truth: median over u of |e_{t+1}(u') - e_t(u)|, e = log d - log d*, u' where the next camera sees u.

    An error that stays with its surface is none: it is steady, if wrong. ``truth``: T of (H, W), the true distance, in the unit
    of the true ``poses``; a point that is hidden in the next frame does not count. The rest is as in :func:`flicker`.
    """
    true = _logs(truth, counted)
    error = [said - one for said, one in zip(_logs(depth, counted), true, strict=True)]
    found = []
    for t, step in enumerate(_steps(true, poses)):
        shown = np.abs(sampled_along(true[t + 1], step.seen) - step.expected) < SAME_SURFACE
        jump = sampled_along(error[t + 1], step.seen) - error[t]
        found.append(_measured(step, np.where(shown, jump, np.nan)))
    return _means(found)


def derotated_speed(first: Array, second: Array, rotation: Array, seconds: float) -> Array:
    """How fast bearings (..., 3) move once the camera's turning is taken out, in degrees a second (...).

    ``rotation`` (3, 3) is from the second camera to the first one, ``seconds`` the time between them. What is left comes of where
    the camera goes, and of things that move.
    """
    return angles(first, second @ rotation.T) / seconds


@dataclass(frozen=True, eq=False)
class _Step:
    """From one frame to the next: where its pixels are seen then, (H, W, 3), at which log distance (H, W), NaN where unknown, how
    fast they move (H, W) but for turning, and the seconds that it takes."""

    seen: Array
    expected: Array
    speed: Array
    seconds: float


def _steps(logs: Sequence[Array], poses: Trajectory) -> Iterator[_Step]:
    """Steps between frames of log distances (H, W)."""
    for t, log in enumerate(logs[:-1]):
        back = poses.rotation[t].T
        rotation, position = back @ poses.rotation[t + 1], back @ (poses.position[t + 1] - poses.position[t])
        seconds = float(poses.seconds[t + 1] - poses.seconds[t])
        seen, distance = rigid_bearings(np.exp(np.nan_to_num(log)), rotation, position)
        expected = np.where(np.isfinite(log), np.log(distance), np.nan)
        yield _Step(seen, expected, derotated_speed(erp_directions(*log.shape), seen, rotation, seconds), seconds)


def _logs(depth: Sequence[Array] | Array, counted: Sequence[Mask] | Mask | None) -> list[Array]:
    """Logarithms (H, W) of distances, NaN for what does not count."""
    logs = []
    for t, one in enumerate(depth):
        known = np.isfinite(one) & (one > 0) & (True if counted is None else counted[t])
        logs.append(np.log(np.where(known, one, np.nan).astype(np.float64)))
    return logs


def _measured(step: _Step, jump: Array) -> Array:
    """Of a step the figures in the order of :data:`NAMES`, of the jumps (H, W) of log distance, NaN for what does not count."""
    area = np.broadcast_to(erp_area_weights(len(jump))[:, None], jump.shape)
    known = np.isfinite(jump)
    if not known.any():
        return np.array([np.nan, np.nan, np.nan, 0.0])
    size, speed = (weighted_median(values[known], area[known]) for values in (np.abs(jump), step.speed))
    return np.array([size, size / step.seconds, speed, area[known].sum() / area.sum()])


def _means(steps: Sequence[Array]) -> dict[str, float]:
    """Means over steps that have a figure."""
    table = np.array(steps).reshape(-1, len(NAMES))
    known = np.isfinite(table)
    with np.errstate(invalid="ignore"):
        means = np.where(known, table, 0).sum(axis=0) / known.sum(axis=0)
    return dict(zip(NAMES, means.tolist(), strict=True))
