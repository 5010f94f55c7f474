"""Seams that are visible in frames and in flow without any truth: how much more neighbours differ over the wrap and the poles.

A ratio of 1 is no seam. Depth has figures of its own in :mod:`metrics.seams`, in log distance.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from geometry.cameras import Camera
from geometry.directions import erp_area_weights, erp_directions
from geometry.video.flow import flow_to_bearings
from geometry.video.warp import sampled_along
from metrics.seams import NEAR_COLUMNS

Array = NDArray[np.floating]
VIEWS_FOV = 90.0
VIEWS_PITCH = 60.0
"""Degrees: views at so much pitch hold the poles."""


def seam_ratios(values: NDArray[np.floating | np.integer]) -> dict[str, float]:
    """Of a picture, or another map whose values are continuous on the sphere: how much it differs across the wrap, and the poles.

    Parameters
    ----------
    values : (H, W) or (H, W, C), finite, W >= 16

    Returns
    -------
    dict
        ``wrap_ratio``: mean |I(first column) - I(last)| over the mean of |I(j + 1) - I(j)| within 8 columns on either side, both
        weighted by cos(latitude); |.| is a vector's length. ``pole_ratio``: mean |I - I opposite| across a pole, over the mean
        difference to the next row, both steps being pi / H long; that of the worse pole. Infinite where only what is across
        differs; NaN where nothing does.

    Raises
    ------
    ValueError
        It is less than 16 columns wide.
    """
    wide = np.asarray(values, np.float64).reshape(*values.shape[:2], -1)
    if wide.shape[1] < 2 * NEAR_COLUMNS:
        raise ValueError(f"a seam ratio needs {2 * NEAR_COLUMNS} columns, got {wide.shape[1]}")
    near = np.concatenate([wide[:, -NEAR_COLUMNS:], wide[:, :NEAR_COLUMNS]], axis=1)
    jumps = erp_area_weights(len(near)) @ _lengths(np.diff(near, axis=1))
    wrap = _ratio(jumps[NEAR_COLUMNS - 1], np.delete(jumps, NEAR_COLUMNS - 1).mean())
    half = wide.shape[1] // 2
    poles = [
        _ratio(_lengths(row - np.roll(row, half, axis=0)).mean(), _lengths(row - beside).mean())
        for row, beside in ((wide[0], wide[1]), (wide[-1], wide[-2]))
    ]
    known = [one for one in poles if not np.isnan(one)]
    return {"wrap_ratio": wrap, "pole_ratio": max(known, default=float("nan"))}


def flow_seam_ratios(flow: Array) -> dict[str, float]:
    """:func:`seam_ratios` of ERP flow (H, W, 2) in pixels, as the difference in space of two bearings.

    Flow in pixels grows without bound towards the poles, and turns with longitude there; in space it does neither.
    """
    return seam_ratios(flow_to_bearings(flow) - erp_directions(*flow.shape[:2]))


def view_means(error: Array) -> dict[str, float]:
    """Mean of a map of errors (H, W), as perspective views see it: ``pole_views`` at pitch +-60 degrees, ``horizon_views`` at 0.

    Four views of 90 degrees, a quarter turn apart, at each pitch. In an ERP image's mean the poles count too much, and by solid
    angle hardly. NaN does not count.
    """
    fov, pitch = np.radians(VIEWS_FOV), np.radians(VIEWS_PITCH)
    return {"pole_views": _seen_mean(error, fov, (pitch, -pitch)), "horizon_views": _seen_mean(error, fov, (0.0,))}


def _seen_mean(error: Array, fov: float, pitches: tuple[float, ...]) -> float:
    side = len(error) // 2
    views = [Camera.looking(side, side, fov, turn * np.pi / 2, pitch) for pitch in pitches for turn in range(4)]
    seen = np.stack([sampled_along(error, view.directions()) for view in views])
    known = np.isfinite(seen)
    return float(seen[known].mean()) if known.any() else float("nan")


def _lengths(vectors: Array) -> Array:
    """(...) of vectors (..., C): unlike the mean over channels it is the same in any frame."""
    return np.sqrt((vectors**2).sum(axis=-1))


def _ratio(across: float, around: float) -> float:
    if around > 0:
        return float(across / around)
    return float("inf") if across > 0 else float("nan")
