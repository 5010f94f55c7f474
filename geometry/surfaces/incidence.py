"""Which neighbouring pixels of a panorama lie on one surface, by the angle under which that surface would be seen.

A plane at distance ``h`` is ``h / cos a`` away along a ray that meets it at the incidence angle ``a`` (0: face on; 90 degrees:
along it). So the distances along two rays that are an angle ``w`` apart, with ``a`` that of their bisector, obey

    tan a = |r2 - r1| / ((r1 + r2) tan(w / 2))

exactly, at every resolution and distance, in any unit. Two pixels whose distances would need a surface seen more obliquely than
a limit lie one behind the other, unless the plane through them goes on in the next pixel: its inverse distance is linear. A limit
in metres, or as a share of the distance, means another angle at every resolution and distance: it tears floors and walls that
lead away, and bridges small steps nearby.
"""

import numpy as np
from numpy.typing import NDArray

from geometry.directions import erp_angles
from geometry.resampling.padding import sphere_rows

Array = NDArray[np.floating]
BoolArray = NDArray[np.bool_]

MAX_INCIDENCE = float(np.radians(80))
"""Radians. Chosen on scenes with seeds from 71000 on; benchmarks/results/labels/incidence.md is of others."""
TOLERANCE = 0.01
"""By what share distances on one surface may be off without meaning anything: noise, and the storage's float16. Near the poles it
decides, where neighbours in a row are next to no angle apart."""


def incidence(first: Array, second: Array, angle: Array | float) -> Array:
    """Incidence angle, in radians, of the plane through points at distances ``first`` and ``second`` on rays ``angle`` apart, on
    the rays' bisector."""
    return np.arctan2(np.abs(second - first), (first + second) * np.tan(angle / 2))


def within_incidence(
    first: Array, second: Array, angle: Array | float, max_incidence: float = MAX_INCIDENCE, tolerance: float = TOLERANCE
) -> BoolArray:
    """Whether points at two distances may lie on a surface that is seen at ``max_incidence`` at most.

    Parameters
    ----------
    first, second : arrays that broadcast
        Radial distances; what is not positive is none, and on no surface.
    angle : array that broadcasts
        Between the rays, in radians.
    max_incidence : float
        Radians. At a right angle every two distances are on one surface.
    tolerance : float
        See :data:`TOLERANCE`.

    Raises
    ------
    ValueError
        If the limit is not between 0 and a right angle, or the tolerance is negative.
    """
    if not 0 <= max_incidence <= np.pi / 2 or tolerance < 0:
        raise ValueError(
            "a surface is seen at 0 to 90 degrees, and a tolerance is not negative; got "
            f"{np.degrees(max_incidence):g} degrees and {tolerance:g}"
        )
    known = (first > 0) & (second > 0)
    if max_incidence == np.pi / 2:
        return known
    most = np.tan(np.asarray(angle) / 2) * np.tan(max_incidence) + tolerance / 2
    return known & (np.abs(second - first) <= (first + second) * most.astype(np.result_type(first, np.float32)))


def joined(
    depth: Array, valid: BoolArray, max_incidence: float = MAX_INCIDENCE, tolerance: float = TOLERANCE
) -> tuple[BoolArray, BoolArray]:
    """Which neighbours lie on one surface.

    Parameters
    ----------
    depth : (H, W) float array
        Radial distance; what is not positive counts as not valid. W must be even, so that a column lies half a turn away.
    valid : (H, W) bool
    max_incidence, tolerance : as of :func:`within_incidence`

    Returns
    -------
    right : (H, W) bool
        Pixels joined with the one to their right, around the seam.
    down : (H + 1, W) bool
        Row ``i``: pixels of row ``i - 1`` joined with those of row ``i``, of the sphere that goes on over its poles. So rows 0
        and H join columns half a turn apart.

    Raises
    ------
    ValueError
        As :func:`within_incidence`, or if W is odd.
    """
    height, width = depth.shape
    if width % 2:
        raise ValueError(f"an ERP image must have an even number of columns to go on over its poles, got {width}")
    known = np.where(valid, depth, 0)
    across = 2 * np.arcsin(np.cos(erp_angles(height, width)[1]) * np.sin(np.pi / width))[:, None]
    lines = sphere_rows(known, 0, height, 2).T, sphere_rows(known, -2, height + 2, 0)  # along the first axis, two pixels longer
    right = _joined_along(lines[0], across.T, max_incidence, tolerance)[1:].T
    return right, _joined_along(lines[1], np.pi / height, max_incidence, tolerance)


def torn(depth: Array, valid: BoolArray, max_incidence: float = MAX_INCIDENCE, tolerance: float = TOLERANCE) -> BoolArray:
    """Pixels (H, W) with a valid neighbour that is not on their surface: both sides of every tear; parameters as :func:`joined`.

    Where a surface ends before another, predicted distances lie between the two, on nothing that there is.
    """
    known = valid & (depth > 0)
    height = len(known)
    right, down = joined(depth, known, max_incidence, tolerance)
    beyond = sphere_rows(known, -1, height + 1, 0)
    across = known & np.roll(known, -1, axis=1) & ~right
    along = beyond[:-1] & beyond[1:] & ~down
    return across | np.roll(across, 1, axis=1) | along[:-1] | along[1:]


def _joined_along(lines: Array, angle: Array | float, max_incidence: float, tolerance: float) -> BoolArray:
    """Neighbours (N - 3, M) along the first axis of lines (N, M); the first and the last of a line only tell how planes go on."""
    inverse = np.divide(1, lines, out=np.zeros(lines.shape, np.result_type(lines, np.float32)), where=lines > 0)
    first, second = inverse[1:-2], inverse[2:-1]
    near = within_incidence(lines[1:-2], lines[2:-1], angle, max_incidence, tolerance)
    least = tolerance * np.minimum(first, second)
    bent = np.abs(inverse[:-2] - 2 * inverse[1:-1] + inverse[2:])
    before, after = inverse[:-3] > 0, inverse[3:] > 0
    return near | (least > 0) & ((before & (bent[:-1] <= least)) | (after & (bent[1:] <= least)))
