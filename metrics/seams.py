"""Seams that are visible in a depth map without any truth: at the borders of cube faces, at the ERP's wrap, and at its poles.

The cube metrics are PaGeR's (arXiv 2605.26368): the prediction is scaled by its own range, and jumps between neighbours on
different cube faces are counted. They say nothing of the wrap, where faces do not meet, nor of the poles, where rows end; the
other two are ours, in units of log distance (0.01 is 1 % of distance).
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from geometry.directions import erp_directions

JUMP = 0.010
"""A pair of neighbours is defective if it jumps by more, in units of the map's range."""
DEFECTIVE_SHARE = 0.05
"""An edge has a seam if more of its pairs are defective."""
SEVERE_JUMP = 0.008
"""An edge has a severe seam if its mean jump is larger."""
NEAR_COLUMNS = 8
"""Columns on either side of the wrap that tell what jumps are usual there."""

Map = NDArray[np.floating]
Mask = NDArray[np.bool_]


def seam_figures(depth: Map, valid: Mask) -> dict[str, float]:
    """All seam metrics of one panorama.

    Parameters
    ----------
    depth : (H, W) array
        Radial distance, in any unit, positive where valid.
    valid : (H, W) bool

    Returns
    -------
    dict
        ``seam_defect_density``, ``seam_prevalence``, ``seam_severity`` (shares of pairs, edges, edges), ``wrap_seam`` and
        ``pole_seam`` (log distance). NaN where nothing can be compared.
    """
    valid = valid & (depth > 0)
    return {**cube_seams(depth, valid), "wrap_seam": wrap_seam(depth, valid), "pole_seam": pole_seam(depth, valid)}


def cube_seams(depth: Map, valid: Mask) -> dict[str, float]:
    """PaGeR's density, prevalence and severity over the 12 edges of a cube; see :func:`seam_figures`."""
    names = ("seam_defect_density", "seam_prevalence", "seam_severity")
    if not valid.any():
        return dict.fromkeys(names, float("nan"))
    low, high = np.quantile(depth[valid], [0.01, 0.99])
    scaled = np.clip((depth.astype(np.float64) - low) / max(high - low, 1e-12), 0, 1)
    right_edge, down_edge = cube_edges(*depth.shape)
    right = (right_edge, np.abs(np.roll(scaled, -1, axis=1) - scaled), np.roll(valid, -1, axis=1) & valid)
    down = (down_edge, np.abs(scaled[1:] - scaled[:-1]), valid[1:] & valid[:-1])
    edge = np.concatenate([edges[both & (edges >= 0)] for edges, _, both in (right, down)])
    jump = np.concatenate([jumps[both & (edges >= 0)] for edges, jumps, both in (right, down)])
    pairs = np.bincount(edge, minlength=12)
    seen = pairs > 0
    if not seen.any():
        return dict.fromkeys(names, float("nan"))
    defective = np.bincount(edge, jump > JUMP, minlength=12)[seen] / pairs[seen]
    mean_jump = np.bincount(edge, jump, minlength=12)[seen] / pairs[seen]
    shares = (float((jump > JUMP).mean()), float((defective > DEFECTIVE_SHARE).mean()), float((mean_jump > SEVERE_JUMP).mean()))
    return dict(zip(names, shares))


def wrap_seam(depth: Map, valid: Mask) -> float:
    """How much more neighbours differ across the wrap than in the columns around it: mean |delta log distance|, at least 0."""
    near = np.concatenate([depth[:, -NEAR_COLUMNS:], depth[:, :NEAR_COLUMNS]], axis=1)
    known = np.concatenate([valid[:, -NEAR_COLUMNS:], valid[:, :NEAR_COLUMNS]], axis=1)
    jumps = np.abs(np.diff(_log(near, known), axis=1))
    across, around = jumps[:, NEAR_COLUMNS - 1], np.delete(jumps, NEAR_COLUMNS - 1, axis=1)
    return _excess(across, around)


def pole_seam(depth: Map, valid: Mask) -> float:
    """How much more pixels differ from those opposite them across a pole than from the next row; the worse of both poles.

    Both steps span the same angle, half a turn apart in longitude or not: rows lie ``pi / H`` apart, and the first row's
    opposite pixels too.
    """
    values = _log(depth, valid)
    half = depth.shape[1] // 2
    poles = [
        _excess(np.abs(row - np.roll(row, half)), np.abs(row - beside))
        for row, beside in ((values[0], values[1]), (values[-1], values[-2]))
    ]
    known = [pole for pole in poles if np.isfinite(pole)]
    return max(known, default=float("nan"))


def _log(depth: Map, valid: Mask) -> NDArray[np.float64]:
    return np.log(np.where(valid, depth, np.nan).astype(np.float64))


def _excess(across: NDArray[np.float64], around: NDArray[np.float64]) -> float:
    if np.isnan(across).all() or np.isnan(around).all():
        return float("nan")
    return max(0.0, float(np.nanmean(across) - np.nanmean(around)))


@lru_cache(maxsize=4)
def cube_edges(height: int, width: int) -> tuple[NDArray[np.int8], NDArray[np.int8]]:
    """Which of the cube's 12 edges lies between each pixel and its right (H, W) and lower (H - 1, W) neighbour; -1 for none."""
    directions = erp_directions(height, width)
    axis = np.abs(directions).argmax(axis=-1)
    face = 2 * axis + (np.take_along_axis(directions, axis[..., None], axis=-1)[..., 0] > 0)
    numbers = np.full((6, 6), -1, np.int8)
    pairs = [(one, other) for one in range(6) for other in range(one + 1, 6) if one // 2 != other // 2]
    for number, (one, other) in enumerate(pairs):
        numbers[one, other] = numbers[other, one] = number
    edges = numbers[face, np.roll(face, -1, axis=1)], numbers[face[:-1], face[1:]]
    for array in edges:
        array.setflags(write=False)  # shared by all who ask
    return edges
