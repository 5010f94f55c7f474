"""How far tracks of points are from the true ones: on the sphere, where there is no seam and no pole, and in space.

The figures are TAP-Vid's with degrees in place of pixels: 0.25 to 4 degrees are its 1 to 16 pixels where a degree has four.
Source: Doersch et al., "TAP-Vid: A benchmark for tracking any point in a video", NeurIPS 2022, section 3.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from geometry.directions import directions_to_angles
from metrics.normals import angles

Array = NDArray[np.floating]
Mask = NDArray[np.bool_]
THRESHOLDS = {"within_0_25": 0.25, "within_0_5": 0.5, "within_1": 1.0, "within_2": 2.0, "within_4": 4.0}
POLES = 60.0
"""Degrees of latitude from which a point is near a pole."""


def track_errors(bearing: Array, truth: Array) -> Array:
    """Angle (N, T) in degrees between bearings (N, T, 3) and the true ones; NaN where there is none."""
    with np.errstate(invalid="ignore"):
        return angles(bearing, truth)


def track_figures(bearing: Array, visible: Mask, true_bearing: Array, true_visible: Mask, counted: Mask) -> dict[str, float]:
    """What tracks are worth over the ``counted`` pairs of a point and a frame, a stratum say; NaN where nothing counts.

    Parameters
    ----------
    bearing, true_bearing : (N, T, 3) in the camera's frame, of any length but zero; NaN where a tracker has none
    visible, true_visible : (N, T) bool
    counted : (N, T) bool
        Of :func:`strata`. As in TAP-Vid a point does not count in the frame that it was asked for in: see :func:`after_birth`.

    Returns
    -------
    dict
        ``median``: of the angle in degrees, over points that are seen and said to be. ``kept``: the share of the points that are
        seen that are said to be; a tracker that drops what is hard has a better median, and less of this.
        ``within_0_25`` to ``within_4``: the share of the points that are seen that lie within so many degrees (strict), whatever
        is said of their visibility; ``within``: the mean of these, TAP-Vid's delta.
        ``average_jaccard``: the mean over these angles of TP / (TP + FP + FN), a true positive being seen, said to be, and
        within; a point that is seen and said to be somewhere else is a false positive and a false negative.
        ``occlusion_accuracy``: the share of the points of which it is rightly said whether they are seen.
    """
    off = track_errors(bearing, true_bearing)[counted]
    said, seen = visible[counted], true_visible[counted]
    near = {name: off < degrees for name, degrees in THRESHOLDS.items()}
    within = {name: _share(one & seen, seen) for name, one in near.items()}
    jaccard = [_jaccard(one & seen, said, seen) for one in near.values()]
    judged = off[said & seen & np.isfinite(off)]
    return {
        "median": float(np.median(judged)) if len(judged) else float("nan"),
        "kept": _share(said & seen, seen),
        **within,
        "within": float(np.mean(list(within.values()))),
        "average_jaccard": float(np.mean(jaccard)),
        "occlusion_accuracy": _share(said == seen, np.ones_like(seen)),
    }


def point_figures(points: Array, truth: Array, camera: Array, counted: Mask) -> dict[str, float]:
    """Errors |X - X*| of points in space over the ``counted`` pairs of a point and a frame; NaN where nothing counts.

    Parameters
    ----------
    points, truth : (N, T, 3) in one world and unit; NaN where nothing is said
    camera : (T, 3)
        Where the camera is. The depth of a true point is its distance from there.
    counted : (N, T) bool

    Returns
    -------
    dict
        ``point_median`` in the unit; ``point_abs_rel``, the mean of |X - X*| / depth; ``point_known``, the share of the points of
        which something is said: the other two are of these.
    """
    off = np.linalg.norm(points - truth, axis=-1)
    known = counted & np.isfinite(off)
    depth = np.linalg.norm(truth - camera, axis=-1)
    if not known.any():
        return {"point_median": float("nan"), "point_abs_rel": float("nan"), "point_known": _share(known, counted)}
    relative = float(np.mean(off[known] / depth[known]))
    return {"point_median": float(np.median(off[known])), "point_abs_rel": relative, "point_known": _share(known, counted)}


def strata(true_bearing: Array, true_visible: Mask, moving: Mask, counted: Mask) -> dict[str, Mask]:
    """The parts (N, T) of what is ``counted`` that tracks are judged by: ``all``, ``seam``, ``poles``, ``moving``, ``others``.

    ``seam``: all frames of points (N,) that cross the seam of an equirectangular image where they are seen; ``poles``: more than
    60 degrees from the horizon; ``moving``: points (N,) of things that move; ``others`` are in none of the three.
    """
    longitude, latitude = directions_to_angles(true_bearing)
    parts = {
        "seam": np.broadcast_to(_crosses_seam(longitude, true_visible)[:, None], counted.shape),
        "poles": np.abs(np.degrees(latitude)) > POLES,
        "moving": np.broadcast_to(moving[:, None], counted.shape),
    }
    parts["others"] = ~np.logical_or.reduce(list(parts.values()))
    return {"all": counted, **{name: part & counted for name, part in parts.items()}}


def after_birth(born: NDArray[np.integer], frames: int) -> Mask:
    """Which of so many frames come after that in which each point (N,) was asked for: (N, frames)."""
    return np.arange(frames) > np.asarray(born)[:, None]


def _crosses_seam(longitude: Array, visible: Mask) -> Mask:
    """(N,): whether the shortest way from where a point was last seen to where it is seen next leads over the seam."""
    frame = np.where(visible, np.arange(visible.shape[1]), -1)
    last = np.maximum.accumulate(frame, axis=1)[:, :-1]
    before = np.take_along_axis(longitude, np.maximum(last, 0), axis=1)
    return np.any((last >= 0) & visible[:, 1:] & (np.abs(longitude[:, 1:] - before) > np.pi), axis=1)


def _jaccard(near: Mask, said: Mask, seen: Mask) -> float:
    """TP / (TP + FP + FN): what is seen is a hit or missed, and what is said to be is a hit or false."""
    total = int(seen.sum() + (said & ~near).sum())
    return float((near & said).sum() / total) if total else float("nan")


def _share(some: Mask, of: Mask) -> float:
    total = int(of.sum())
    return float(some.sum() / total) if total else float("nan")
