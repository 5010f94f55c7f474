"""The motion between two frames from bearings, some of them wrong: RANSAC, refined, and the plainest model that explains it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares
from scipy.spatial.transform import Rotation

from geometry.video.epipolar import LEAST_POINTS, eight_point, epipolar_angles, essential_of, pose_in_front
from geometry.video.flow import angles_between, tangent_axes

Array = NDArray[np.floating]
Mask = NDArray[np.bool_]
CONFIDENCE = 0.999
"""With which RANSAC has drawn a sample without outliers when it stops."""
PARAMETERS = {"static": 0, "rotation": 3, "translation": 5}
"""Number of parameters of each model of motion."""
DIMENSIONS = {"static": 2, "rotation": 2, "translation": 3}
"""Of the set, in the four dimensions of a pair of bearings, on which pairs lie that fit."""


@dataclass(frozen=True, eq=False)
class RelativePose:
    """The second camera as seen from the first.

    ``motion`` is ``static``, ``rotation`` or ``translation``; ``rotation`` (3, 3) is second to first; ``position`` (3,) is
    that of the second camera in the first one's frame, of unit length, 0 unless it translates; ``inliers`` (N,) bool;
    ``residuals`` (N,) in radians; ``gric`` by model of motion, the least being the chosen one.
    """

    motion: str
    rotation: Array
    position: Array
    inliers: Mask
    residuals: Array
    gric: dict[str, float] = field(default_factory=dict)


def rotation_between(first: Array, second: Array) -> Array:
    """The rotation (3, 3), second camera to first, that fits bearings (N, 3) best where only that moved (Kabsch, 1976)."""
    left, _, right = np.linalg.svd(first.T @ second)
    return left @ np.diag([1.0, 1.0, np.sign(np.linalg.det(left @ right))]) @ right


def ransac(
    count: int,
    sample: int,
    fit: Callable[[NDArray[np.intp]], Array],
    residuals: Callable[[Array], Array],
    threshold: float,
    generator: np.random.Generator,
    trials: int,
) -> tuple[Array, Mask]:
    """The model of most inliers among those of random samples (Fischler and Bolles, 1981), fitted once more to its inliers.

    Of two models with as many, that with smaller residuals is kept. It stops when a better sample is unlikely.
    """
    best, inliers, score, left = fit(np.arange(count)), np.zeros(count, np.bool_), -np.inf, float(trials)
    tried = 0
    while tried < left:
        model = fit(generator.choice(count, sample, replace=False))
        found = residuals(model)
        own = float(np.sum(1 - np.minimum(found / threshold, 1) ** 2))  # MSAC's score (Torr and Zisserman, 2000)
        tried += 1
        if own > score:
            best, inliers, score = model, found < threshold, own
            share = min(max(inliers.mean() ** sample, 1e-12), 1 - 1e-12)
            left = min(left, np.log(1 - CONFIDENCE) / np.log(1 - share))
    for _ in range(3):
        if inliers.sum() < sample:
            break
        model = fit(np.flatnonzero(inliers))
        again = residuals(model) < threshold
        if again.sum() < inliers.sum():
            break
        best, inliers = model, again
    return best, inliers


def relative_pose(
    first: Array, second: Array, sigma: float, generator: np.random.Generator, trials: int = 500, gate: float = 3.0
) -> RelativePose:
    """How a camera moved between two frames: not at all, by turning, or by going somewhere, whichever explains bearings plainest.

    Parameters
    ----------
    first, second : (N, 3) unit bearings of the same points, in the frame of each camera; N >= 8
    sigma : float
        Standard deviation of a bearing in radians.
    generator : Generator
        Draws the samples; the same one gives the same pose.
    trials : int
        Samples at most, for each model.
    gate : float
        Inliers lie within so many ``sigma``.

    Raises
    ------
    ValueError
        There are fewer than eight points.
    """
    if len(first) < LEAST_POINTS:
        raise ValueError(f"a relative pose needs {LEAST_POINTS} points, got {len(first)}")
    turn = _turn(first, second, gate * sigma, generator, trials)
    essential = _essential(first, second, gate * sigma, generator, trials)
    rotation, position = _refined(essential, first, second, sigma, gate)
    found = {
        "static": (np.eye(3), np.zeros(3), angles_between(first, second)),
        "rotation": (turn, np.zeros(3), angles_between(first, second @ turn.T)),
        "translation": (rotation, position, epipolar_angles(essential_of(rotation, position), first, second)),
    }
    scores = {name: gric(residuals, sigma, name) for name, (_, _, residuals) in found.items()}
    motion = min(scores, key=lambda name: scores[name])
    rotation, position, residuals = found[motion]
    return RelativePose(motion, rotation, position, residuals < gate * sigma, residuals, scores)


def gric(residuals: Array, sigma: float, motion: str) -> float:
    """Torr's geometric robust information criterion (1998) of residuals (N,) in radians: less is better.

    Sum of min(e^2 / sigma^2, 2 (r - d)) + N d log(r) + k log(r N), for r = 4 dimensions of a pair of bearings.
    """
    r, d, k, count = 4, DIMENSIONS[motion], PARAMETERS[motion], len(residuals)
    # A pair's distance from where both bearings are free to move is smaller than the angle of one of them by sqrt(2).
    bounded = np.minimum((residuals / sigma) ** 2 / 2, 2 * (r - d))
    return float(bounded.sum() + count * d * np.log(r) + k * np.log(r * count))


def _turn(first: Array, second: Array, threshold: float, generator: np.random.Generator, trials: int) -> Array:
    return ransac(
        len(first),
        2,
        lambda chosen: rotation_between(first[chosen], second[chosen]),
        lambda rotation: angles_between(first, second @ rotation.T),
        threshold,
        generator,
        trials,
    )[0]


def _essential(first: Array, second: Array, threshold: float, generator: np.random.Generator, trials: int) -> Array:
    return ransac(
        len(first),
        LEAST_POINTS,
        lambda chosen: eight_point(first[chosen], second[chosen]),
        lambda matrix: epipolar_angles(matrix, first, second),
        threshold,
        generator,
        trials,
    )[0]


def _refined(essential: Array, first: Array, second: Array, sigma: float, gate: float) -> tuple[Array, Array]:
    """The pose of an essential matrix, moved to where the angles of its inliers are least, outliers counting little (Huber)."""
    near = epipolar_angles(essential, first, second) < gate * sigma
    if near.sum() < LEAST_POINTS:
        return pose_in_front(essential, first, second)
    one, other = first[near], second[near]
    rotation, position = pose_in_front(essential, one, other)
    east, down = tangent_axes(position)

    def pose(values: Array) -> tuple[Array, Array]:
        shifted = position + values[3] * east + values[4] * down
        return Rotation.from_rotvec(values[:3]).as_matrix() @ rotation, shifted / np.linalg.norm(shifted)

    def residuals(values: Array) -> Array:
        matrix = essential_of(*pose(values))
        aside = np.sum(one * (other @ matrix.T), axis=1)
        lengths = np.sqrt(np.sum((other @ matrix.T) ** 2, axis=1) + np.sum((one @ matrix) ** 2, axis=1))
        return aside / np.maximum(lengths, 1e-12) / sigma

    found = least_squares(residuals, np.zeros(5), loss="huber", f_scale=1.0, max_nfev=50)
    return pose(found.x)
