"""One scale per view (and one offset, for inverse distances), from what views say of the directions that they share.

A teacher that sees one view at a time knows distance up to a factor of its own. Overlaps fix those factors against each
other; what they cannot fix, the common factor, is held by a gauge. Works on a coarse ERP: a few thousand shared directions
per pair are plenty, and cost milliseconds.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from geometry.fields import Field
from geometry.resampling.backproject import BackProjection, backprojection
from geometry.spheres import View

Array = NDArray[np.floating]
Pair = tuple[int, int, Array]  # two views and their equations, see _pair_equations

COARSE = (128, 256)  # height and width of the ERP on which overlaps are compared
MIN_OVERLAP = 16  # fewer shared directions than this say nothing robust about a pair
ROUNDS = 30  # of reweighting; it converges well before


def aligned_distance(depth: Field, cameras: Sequence[View]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Radial distances (N, h, w) float32 of a canonical depth field, on one scale, and where usable.

    Metres are left as they are, and so is what is up to one factor for all views; a scale of each view's own means nothing, so
    the rest is aligned. Only what is valid has a part in that, but all that is finite comes out on its view's scale: zero where
    there is no distance.
    """
    finite = np.isfinite(depth.values)
    if depth.unit == "inverse":
        values = np.where(finite, depth.values, 0).astype(np.float32)
        distance = _distance_from_inverse(values, depth.valid & finite, cameras)
        return distance, depth.valid & (distance > 0)
    positive = finite & (depth.values > 0)
    distance, usable = depth.values if positive.all() else np.where(positive, depth.values, 0), depth.valid & positive
    if depth.unit == "scale":
        coarse = [backprojection(camera, *COARSE) for camera in cameras]
        scales = view_scales(coarse_samples(np.log(np.where(usable, distance, 1)), usable, coarse))
        distance = distance * scales.astype(np.float32)[:, None, None]
    return distance, usable


def _distance_from_inverse(
    inverse: NDArray[np.float32], usable: NDArray[np.bool_], cameras: Sequence[View]
) -> NDArray[np.float32]:
    """Distances, zero where an offset brings them to infinity or beyond: any that is put there is made up."""
    coarse = [backprojection(camera, *COARSE) for camera in cameras]
    cosine = np.stack([camera.cos_off_axis() for camera in cameras]).astype(np.float32)
    factor, offset = view_affines(coarse_samples(inverse, usable, coarse), coarse_samples(cosine, usable, coarse))
    inverse = factor.astype(np.float32)[:, None, None] * inverse + offset.astype(np.float32)[:, None, None] * cosine
    return np.divide(1, inverse, out=np.zeros_like(inverse), where=inverse > 1 / np.finfo(np.float32).max)


def coarse_samples(values: Array, valid: NDArray[np.bool_], views: Sequence[BackProjection]) -> Array:
    """Nearest values of all views at the directions of an ERP.

    Parameters
    ----------
    values, valid : (N, h, w) arrays
    views : N back-projections into one coarse ERP

    Returns
    -------
    (N, H * W) float32
        NaN where a view does not see the direction or is not valid there.
    """
    samples = np.full((len(views), views[0].height, views[0].width), np.nan, np.float32)
    for sample, value, usable, view in zip(samples, values, valid, views, strict=True):
        padded = np.append(np.where(usable, value, np.nan), np.nan).astype(np.float32)
        for box in view.boxes:
            sample[box.rows, box.columns] = padded[box.pixel]
    return samples.reshape(len(views), -1)


def view_scales(log_distance: Array) -> Array:
    """Factors that bring the distances of all views to one scale.

    Parameters
    ----------
    log_distance : (N, M) array
        Log radial distance of N views at M shared directions, NaN where there is none.

    Returns
    -------
    (N,) float64
        Factor by which to multiply each view's distances. The median log factor of every connected group of views is
        zero, so that metric views stay metric; a view without overlap keeps 1.

    Notes
    -----
    Each pair gives ``median(log r_i - log r_j)``, which outlying pixels do not move; outlying pairs lose their say by
    Huber reweighting, whose width follows the median residual.
    """
    count = len(log_distance)
    first, second, delta, size = pair_differences(log_distance)
    if len(first) == 0:
        return np.ones(count)
    design = np.zeros((len(first), count))
    design[np.arange(len(first)), first], design[np.arange(len(first)), second] = 1, -1
    logs: Array = np.zeros(count)
    weight = np.sqrt(size)
    for _ in range(ROUNDS):
        # Of all solutions lstsq gives the shortest: the gauge of each connected group is fixed without naming it.
        update = np.linalg.lstsq(design * weight[:, None], -delta * weight, rcond=None)[0]
        converged = np.abs(update - logs).max() < 1e-9
        logs = update
        if converged:
            break
        weight = np.sqrt(size * _huber(design @ logs + delta))
    return np.exp(centred(logs, first, second))


def pair_differences(log_distance: Array) -> tuple[NDArray[np.intp], NDArray[np.intp], Array, Array]:
    """Views i < j that overlap, the median of log r_i - log r_j, and the number of shared directions."""
    seen = np.isfinite(log_distance)
    rows = []
    for i in range(len(log_distance)):
        mine = np.flatnonzero(seen[i])
        for j in range(i + 1, len(log_distance)):
            shared = mine[seen[j, mine]]
            if len(shared) >= MIN_OVERLAP:
                rows.append((i, j, np.median(log_distance[i, shared] - log_distance[j, shared]), len(shared)))
    table = np.array(rows, dtype=np.float64).reshape(-1, 4)
    return table[:, 0].astype(np.intp), table[:, 1].astype(np.intp), table[:, 2], table[:, 3]


def _huber(residual: Array) -> Array:
    """Huber weights in (0, 1] of residuals, with a width of 1.5 robust standard deviations."""
    size = np.abs(residual)
    return 1 / np.maximum(1, size / max(1.5 * 1.4826 * float(np.median(size)), 1e-6))


def _redescending(residual: Array, floor: float) -> Array:
    """Geman-McClure weights in (0, 1] of residuals, with a width of 2.5 robust standard deviations, or ``floor`` if larger."""
    size = np.abs(residual)
    return 1 / (1 + (size / max(2.5 * 1.4826 * float(np.median(size)), floor)) ** 2) ** 2


def _groups(count: int, first: NDArray[np.intp], second: NDArray[np.intp]) -> NDArray[np.signedinteger]:
    """Label (count,) of the connected group of every view."""
    from scipy.sparse.csgraph import connected_components  # takes half a second to load, which plans need not spend

    linked = np.zeros((count, count), dtype=bool)
    linked[first, second] = True
    return connected_components(linked, directed=False)[1]


def centred(logs: Array, first: NDArray[np.intp], second: NDArray[np.intp]) -> Array:
    """Log scales (N,) less the median of each group that the pairs (``first``, ``second``) connect."""
    group = _groups(len(logs), first, second)
    centred = logs.copy()
    for one in np.unique(group):
        centred[group == one] -= np.median(logs[group == one])
    return centred


def view_affines(inverse: Array, cosine: Array) -> tuple[Array, Array]:
    """Factor a and offset b per view such that ``a u + b cos(off-axis)`` is one inverse radial distance in all views.

    Parameters
    ----------
    inverse : (N, M) array
        Affine-invariant inverse radial distance u of N views at M shared directions, NaN where there is none.
    cosine : (N, M) array
        Cosine of the off-axis angle of each direction in each view.

    Returns
    -------
    a, b : (N,) float64
        The mean of a over every connected group of views is 1. A view without overlap keeps a = 1, b = 0.
    """
    count = len(inverse)
    a, b = np.ones(count), np.zeros(count)
    # Of numbers far from 1, as those of teachers whose unit is tiny or huge, nothing would be left beside the cosines.
    size = _typical_size(inverse)
    inverse = inverse / size
    pairs = _pair_equations(inverse, cosine)
    if not pairs:
        return a, b
    group = _groups(count, np.array([i for i, _, _ in pairs]), np.array([j for _, j, _ in pairs]))
    for one in np.unique(group):
        members = np.flatnonzero(group == one)
        if len(members) > 1:
            place = {int(view): k for k, view in enumerate(members)}
            own = [(place[i], place[j], rows) for i, j, rows in pairs if group[i] == one]
            a[members], b[members] = _connected_affines(inverse[members], cosine[members], own)
    return a, b * size


def _typical_size(values: Array) -> float:
    """Power of two near the median absolute value: dividing by it rounds nothing."""
    seen = np.abs(values[np.isfinite(values) & (values != 0)], dtype=np.float64)
    return float(2.0 ** np.round(np.log2(np.median(seen)))) if seen.size else 1.0


def _connected_affines(inverse: Array, cosine: Array, pairs: list[Pair]) -> tuple[Array, Array]:
    count = len(inverse)
    # Outliers sit in the unknowns' own coefficients, where plain least squares and Huber's weights are drawn to them: start
    # from medians of ratios and let large residuals lose all their say.
    solution = np.concatenate([view_scales(np.log(np.where(inverse > 0, inverse, np.nan))), np.zeros(count)])
    # While solving, the level of inverse distance is held. Holding the mean of a instead would let all the rest go to zero
    # where some views look squarely at a plane, whose u is proportional to c.
    gauge = np.concatenate([np.nanmedian(inverse, axis=1), np.nanmedian(cosine, axis=1)])
    level = gauge @ solution
    for _ in range(ROUNDS):
        residuals = [rows @ solution[[i, j, count + i, count + j]] for i, j, rows in pairs]
        weights = [_redescending(residual, 1e-3 * abs(level) / count) for residual in residuals]
        update = _constrained(_normal_matrix(pairs, weights, count), gauge, level)
        converged = np.abs(update - solution).max() < 1e-7
        solution = update
        if converged:
            break
    solution = solution / solution[:count].mean()
    return solution[:count], solution[count:]


def _pair_equations(inverse: Array, cosine: Array) -> list[Pair]:
    """For overlapping views i < j the rows (u_i, -u_j, c_i, -c_j), whose product with (a_i, a_j, b_i, b_j) should vanish."""
    seen = np.isfinite(inverse)
    equations: list[Pair] = []
    for i in range(len(inverse)):
        for j in range(i + 1, len(inverse)):
            shared = np.flatnonzero(seen[i] & seen[j])
            if len(shared) >= MIN_OVERLAP:
                columns = (inverse[i, shared], -inverse[j, shared], cosine[i, shared], -cosine[j, shared])
                equations.append((i, j, np.stack(columns, axis=1).astype(np.float64)))
    return equations


def _normal_matrix(pairs: list[Pair], weights: list[Array], count: int) -> Array:
    matrix = np.zeros((2 * count, 2 * count))
    for (i, j, rows), weight in zip(pairs, weights):
        at = np.array([i, j, count + i, count + j])
        matrix[np.ix_(at, at)] += (rows * weight[:, None]).T @ rows
    return matrix


def _constrained(matrix: Array, gauge: Array, level: float) -> Array:
    """Minimise ``x' matrix x`` subject to ``gauge . x = level``."""
    system = np.block([[matrix / np.abs(matrix).max(), gauge[:, None]], [gauge[None, :], np.zeros((1, 1))]])
    return np.linalg.lstsq(system, np.append(np.zeros(len(matrix)), level), rcond=None)[0][: len(matrix)]
