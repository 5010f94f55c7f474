"""Two published ways of merging the depth of views, written anew from their descriptions, as peers for our fusion.

``mean_gradients`` follows MoGe's panorama script: the unweighted mean over views of log-distance gradients on the ERP, least
squares by a sparse iterative solver, coarse to fine; columns wrap, rows do not continue over the poles, no data term. (Theirs
stacks Laplacians on the gradients too, which makes it slower still.) ``deformable`` follows the idea of 360MonoDepth: a grid of
8x7 scales and offsets of disparity per view, fitted to all overlaps at once, then a Poisson blend of the frontmost views'
gradients with the weighted mean. Its views, weights and strengths are ours.
"""

from collections.abc import Iterator, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.linalg import lsmr

from geometry.cameras import Camera
from geometry.directions import erp_directions
from geometry.fields import Field
from geometry.fusion.alignment import COARSE, coarse_samples
from geometry.resampling.backproject import build_backprojection, view_weight
from geometry.surfaces.poisson import solve_screened_poisson

Array = NDArray[np.floating]
COARSEST = 64  # rows at which coarse to fine starts
GRID = (7, 8)  # rows and columns of a view's scales and offsets
SMOOTH, PRIOR = 1.0, 0.1  # strengths of a grid's smoothness and of its pull to no change, of a mean overlap's


def mean_gradients(depth: Field, cameras: Sequence[Camera], height: int, width: int) -> Array:
    """Distance (H, W) up to one factor."""
    start = None
    if height > COARSEST:
        coarse = np.log(mean_gradients(depth, cameras, height // 2, width // 2)).astype(np.float32)
        start = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR).ravel()
    total, count = np.zeros((2, height, width)), np.zeros((2, height, width))
    for log, seen, _ in _warped(depth, cameras, height, width):
        for axis, (other, both) in enumerate(((np.roll(log, -1, 1), np.roll(seen, -1, 1)), (np.roll(log, -1, 0), _below(seen)))):
            total[axis] += np.where(seen & both, other - log, 0)
            count[axis] += seen & both
    pixel = np.arange(height * width).reshape(height, width)
    rows, values = [], []
    for axis in (0, 1):
        known = count[axis] > 0
        rows.append(np.stack([pixel[known], np.roll(pixel, -1, 1 - axis)[known]], axis=1))
        values.append(total[axis][known] / count[axis][known])
    ends, asked = np.concatenate(rows), np.concatenate(values)
    signs = np.tile(np.float64([-1, 1]), len(ends))
    place = (np.repeat(np.arange(len(ends)), 2), ends.ravel())
    differences = sparse.csr_matrix((signs, place), shape=(len(ends), height * width))
    return np.exp(lsmr(differences, asked, atol=1e-5, btol=1e-5, x0=start)[0].reshape(height, width))


def deformable(depth: Field, cameras: Sequence[Camera], height: int, width: int) -> Array:
    """Distance (H, W), on the views' mean scale."""
    disparity = np.where(depth.valid, 1 / np.where(depth.valid, depth.values, 1), 0)
    scale, offset = _fit_grids(disparity, depth.valid, cameras)
    total, weight, best = np.zeros((height, width)), np.zeros((height, width)), np.zeros((height, width))
    right, down = np.zeros((height, width)), np.zeros((height, width))
    size = (cameras[0].width, cameras[0].height)
    grown = [np.stack([cv2.resize(g, size, interpolation=cv2.INTER_LINEAR) for g in pair]) for pair in zip(scale, offset)]
    deformed = np.stack([own * one + shift for one, (own, shift) in zip(disparity, grown)])
    median = np.median(disparity[depth.valid])
    values = np.where(depth.valid, 1 / np.maximum(deformed, median / 100), 1)
    changed = Field("depth", values.astype(np.float32), depth.valid, depth.unit, depth.frame)
    for log, seen, own in _warped(changed, cameras, height, width):
        total += np.where(seen, own * log, 0)
        weight += own * seen
        frontmost = seen & (own > best)
        best[frontmost] = own[frontmost]
        for asked, other, both in ((right, np.roll(log, -1, 1), np.roll(seen, -1, 1)), (down, np.roll(log, -1, 0), _below(seen))):
            np.copyto(asked, np.where(both, other - log, 0), where=frontmost)
    known = weight > 0
    mean = total / np.where(known, weight, 1)
    # Solved for the change of the mean, so that what nobody knows, such as the sky, draws its surroundings nowhere.
    right = np.where(known & np.roll(known, -1, 1), right - (np.roll(mean, -1, 1) - mean), 0)
    down = np.where(known & _below(known), down - (np.roll(mean, -1, 0) - mean), 0)
    return np.where(known, np.exp(mean + solve_screened_poisson(right, down[:-1], np.zeros_like(mean), 4.0)), 0)


def _below(seen: NDArray[np.bool_]) -> NDArray[np.bool_]:
    return np.concatenate([seen[1:], np.zeros_like(seen[:1])])


def _warped(depth: Field, cameras: Sequence[Camera], height: int, width: int) -> Iterator[tuple[Array, NDArray[np.bool_], Array]]:
    """For each view on the whole ERP: bilinear log distance, where it is seen and valid, and the view's weight."""
    directions = erp_directions(height, width, np.float32)
    for values, valid, camera in zip(depth.values, depth.valid, cameras):
        column, row, inside = camera.project(directions)
        maps = (column - 0.5).astype(np.float32), (row - 0.5).astype(np.float32)
        log = np.log(np.where(valid, values, 1)).astype(np.float32)
        weight = view_weight(camera, 2.0, 0.2)
        found = [
            cv2.remap(one, *maps, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE) for one in (log, np.float32(valid), weight)
        ]
        yield found[0], inside & (found[1] > 0.999), found[2]


def _fit_grids(disparity: Array, valid: NDArray[np.bool_], cameras: Sequence[Camera]) -> tuple[Array, Array]:
    """Scales and offsets (N, *GRID) that bring the disparities of all views together where they overlap."""
    count, nodes = len(cameras), GRID[0] * GRID[1]
    coarse = [build_backprojection(camera, *COARSE) for camera in cameras]
    y, x = np.meshgrid(*(np.linspace(0, n - 1, side) for n, side in zip(GRID, disparity.shape[1:])), indexing="ij")
    samples = coarse_samples(disparity, valid, coarse)
    at = [coarse_samples(np.broadcast_to(one, disparity.shape), valid, coarse) for one in (y, x)]
    level = np.nanmedian(samples)
    blocks, asked = [], []
    for i in range(count):
        for j in range(i + 1, count):
            shared = np.flatnonzero(np.isfinite(samples[i]) & np.isfinite(samples[j]))
            if len(shared):
                sides = [_node_rows(v, at[0][v, shared], at[1][v, shared], samples[v, shared] / level, count) for v in (i, j)]
                blocks.append((sides[0] - sides[1]) / np.sqrt(len(shared)))
                asked.append(np.zeros(len(shared)))
    unknowns = 2 * count * nodes
    # With this scaling of rows a pair of views counts as one equation; a grid's smoothness and prior count as its share.
    smooth = sparse.kron(sparse.identity(2 * count), _grid_differences()) * (SMOOTH / np.sqrt(nodes))
    prior = sparse.identity(unknowns) * (PRIOR / np.sqrt(nodes))
    start = np.concatenate([np.ones(count * nodes), np.zeros(count * nodes)])
    system = sparse.vstack([*blocks, smooth, prior]).tocsr()
    right = np.concatenate([*asked, np.zeros(smooth.shape[0]), start * (PRIOR / np.sqrt(nodes))])
    solution = lsmr(system, right, atol=1e-8, btol=1e-8, maxiter=5000)[0].reshape(2, count, *GRID)
    return solution[0], solution[1] * level


def _node_rows(view: int, y: Array, x: Array, disparity: Array, count: int) -> sparse.csr_matrix:
    """Rows that give the deformed disparity of one view's samples from the unknowns: all scales, then all offsets."""
    nodes = GRID[0] * GRID[1]
    top, left = np.minimum(y.astype(int), GRID[0] - 2), np.minimum(x.astype(int), GRID[1] - 2)
    corners = [(top + a, left + b, np.abs(1 - a - (y - top)) * np.abs(1 - b - (x - left))) for a in (0, 1) for b in (0, 1)]
    column = np.stack([view * nodes + r * GRID[1] + c for r, c, _ in corners], axis=1)
    share = np.stack([s for _, _, s in corners], axis=1)
    columns = np.concatenate([column, column + count * nodes], axis=1)
    values = np.concatenate([share * disparity[:, None], share], axis=1)
    rows = np.repeat(np.arange(len(y)), 8)
    return sparse.csr_matrix((values.ravel(), (rows, columns.ravel())), shape=(len(y), 2 * count * nodes))


def _grid_differences() -> sparse.csr_matrix:
    """Differences of neighbouring nodes of one grid."""
    one = [sparse.diags([-1.0, 1.0], [0, 1], shape=(n - 1, n)) for n in GRID]
    across = sparse.kron(sparse.identity(GRID[0]), one[1])
    return sparse.vstack([across, sparse.kron(one[0], sparse.identity(GRID[1]))]).tocsr()
