"""One scale and one slow bend per view, fitted together from what views say of the directions that they share.

A teacher's error in one view is more than a factor: distances drift slowly across the patch. If scales alone are fitted, the
drift at the overlaps, which lie at the patches' borders, is taken for scale. So log distance gets a quadratic across the patch
too, of mean zero, and a prior says that bends are small and scales are not. Of a metric teacher, whose views may be on one scale
already, the overlaps themselves tell how large scales are: fitted to bends alone they would do harm.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from geometry.fusion.alignment import COARSE, MIN_OVERLAP, centred, coarse_samples, pair_differences, view_scales
from geometry.fusion.depth import pack_log_distance, sample_log_distance
from geometry.resampling.backproject import BackProjection, backprojection
from geometry.spheres import Sphere, View

Array = NDArray[np.floating]
Pair = tuple[int, int, NDArray[np.intp]]  # two views and the directions that they share

SCALE_SIZE, BEND_SIZE = 1.0, 0.02  # standard deviations of a log scale about the one of medians, and of each term of a bend
LEAST_SIZE = 1e-3  # of a log scale: smaller ones make no difference
NOISE = 0.3  # of one shared log distance: much more than its own, because neighbours err alike
ROUNDS = 10  # of reweighting
TERMS = 6


def bend_terms(height: int, width: int) -> Array:
    """(6, height, width) float64: one, and x, y, xy, x^2, y^2 over the patch, each orthogonal to one and of mean square 1."""
    y, x = np.meshgrid(*(((np.arange(n) + 0.5) / n * 2 - 1) for n in (height, width)), indexing="ij")
    terms = np.stack([x, y, x * y, x * x, y * y])
    terms -= terms.mean(axis=(1, 2), keepdims=True)
    terms /= np.sqrt((terms**2).mean(axis=(1, 2), keepdims=True))
    return np.concatenate([np.ones((1, height, width)), terms])


def straightened(distance: Array, usable: NDArray[np.bool_], cameras: Sequence[View], metric: bool) -> NDArray[np.float32]:
    """Distances (N, h, w) float32 of all views on one scale and without their slow bends; as they are with views of the whole
    sphere, over which no such bend joins at the seam.

    Parameters
    ----------
    distance, usable : (N, h, w)
        Radial distance, positive where ``usable``.
    cameras : N cameras of one size
    metric : bool
        The views say metres, or have one factor in common: their scales are changed as far only as slow bends do not explain that
        they differ.

    Notes
    -----
    The median log scale of every connected group of views is zero, so that metric views stay metric.
    """
    if any(isinstance(camera, Sphere) for camera in cameras):
        return np.asarray(distance, np.float32)
    coarse = [backprojection(camera, *COARSE) for camera in cameras]
    terms = bend_terms(*distance.shape[1:])
    logs = np.stack([_log_samples(*one) for one in zip(distance, usable, coarse)])
    at = np.stack([coarse_samples(np.broadcast_to(term, usable.shape), usable, coarse) for term in terms], axis=-1)
    changed = np.empty(distance.shape, np.float32)
    for one, own, out in zip(distance, view_bends(logs, at, metric), changed):
        np.multiply(one, np.exp(np.tensordot(own, terms, 1)), out=out, casting="same_kind")
    return changed


def _log_samples(distance: Array, usable: NDArray[np.bool_], view: BackProjection) -> Array:
    """Log distance (H * W,) at the directions of an ERP, NaN where not seen.

    With slopes, because rounding to pixels would look like bends.
    """
    samples = np.full((view.height, view.width), np.nan, np.float32)
    packed = pack_log_distance(distance, usable.astype(np.float32))
    for box in view.boxes:
        _, log, weight = sample_log_distance(packed, box)
        samples[box.rows, box.columns] = np.where(weight > 0, log, np.nan)
    return samples.ravel()


def _believed(logs: Array, first: NDArray[np.intp], second: NDArray[np.intp], delta: Array) -> tuple[Array, float]:
    """Log scales (N,) of metric views, drawn to one scale as far as chance explains them, and their standard deviation.

    Around every loop of overlaps the differences ``delta`` of pairs should cancel. As far as they do not, they hold what no
    scales explain (slow bends, say), and the scales that were fitted to them hold some of that too: by the pseudoinverse of the
    pairs' Laplacian. What is left of the scales' variance is their own, and the rest is taken out (James-Stein's shrinkage).
    """
    count, loops = len(logs), len(first) - len(logs) + 1
    if loops < 1:
        return logs, SCALE_SIZE
    design = np.zeros((len(first), count))
    design[np.arange(len(first)), first], design[np.arange(len(first)), second] = 1, -1
    noise = (1.4826 * float(np.median(np.abs(design @ logs + delta)))) ** 2 * len(first) / loops
    variance = float(logs.var())
    explained = noise * float(np.trace(np.linalg.pinv(design.T @ design))) / count
    share = max(0.0, 1 - explained / variance) if variance > 0 else 1.0
    return share * logs, max(float(np.sqrt(share * variance)), LEAST_SIZE)


def view_bends(log_distance: Array, terms: Array, metric: bool) -> Array:
    """Coefficients (N, 6) of what to add to each view's log distance.

    Parameters
    ----------
    log_distance : (N, M) array
        Log radial distance of N views at M shared directions, NaN where there is none.
    terms : (N, M, 6) array
        :func:`bend_terms` at the same places of each view.
    metric : bool
        As in :func:`straightened`.

    Returns
    -------
    (N, 6) float64
        Zeros for a view without overlap.
    """
    count = len(log_distance)
    seen = np.isfinite(log_distance)
    pairs = [(i, j, np.flatnonzero(seen[i] & seen[j])) for i in range(count) for j in range(i + 1, count)]
    pairs = [pair for pair in pairs if len(pair[2]) >= MIN_OVERLAP]
    if not pairs:
        return np.zeros((count, TERMS))
    equations = [_equations(log_distance, terms, pair) for pair in pairs]
    size = np.tile([SCALE_SIZE] + [BEND_SIZE] * (TERMS - 1), (count, 1))
    start = np.zeros((count, TERMS))
    start[:, 0] = np.log(view_scales(log_distance))  # from medians, which outlying pixels do not move
    if metric:
        start[:, 0], size[:, 0] = _believed(start[:, 0], *pair_differences(log_distance)[:3])
    solution: Array = start
    for _ in range(ROUNDS):
        matrix, target = np.diag(size.ravel() ** -2.0), (start / size**2).ravel()
        for (i, j, _), (rows, delta) in zip(pairs, equations):
            unknowns = np.concatenate([solution[i], solution[j]])
            weight = _redescending(rows @ unknowns + delta) / NOISE**2
            at = np.concatenate([i * TERMS + np.arange(TERMS), j * TERMS + np.arange(TERMS)])
            weighted = rows * weight[:, None]
            matrix[np.ix_(at, at)] += weighted.T @ rows
            target[at] -= weighted.T @ delta
        solution = np.linalg.solve(matrix, target).reshape(count, TERMS)
    first, second = (np.array([pair[k] for pair in pairs]) for k in (0, 1))
    solution[:, 0] = centred(solution[:, 0], first, second)
    return solution


def _equations(log_distance: Array, terms: Array, pair: Pair) -> tuple[Array, Array]:
    """Rows and constants whose sum with the coefficients of both views should vanish."""
    i, j, shared = pair
    rows = np.concatenate([terms[i, shared], -terms[j, shared]], axis=1).astype(np.float64)
    return rows, (log_distance[i, shared] - log_distance[j, shared]).astype(np.float64)


def _redescending(residual: Array) -> Array:
    """Geman-McClure weights: what differs by a depth edge's step loses its say. The width follows the median residual."""
    size = np.abs(residual)
    return 1 / (1 + (size / max(2.5 * 1.4826 * float(np.median(size)), 1e-3)) ** 2) ** 2
