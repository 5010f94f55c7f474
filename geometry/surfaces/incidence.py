"""Which neighbouring pixels of a panorama lie on one surface, by the angle under which that surface would be seen.

A plane at distance ``h`` is ``h / cos a`` away along a ray that meets it at the incidence angle ``a`` (0: face on; 90 degrees:
along it). So the distances along two rays that are an angle ``w`` apart, with ``a`` that of their bisector, obey

    tan a = |r2 - r1| / ((r1 + r2) tan(w / 2))

exactly, at every resolution and distance, in any unit. Two pixels whose distances would need a surface seen more obliquely than
a limit lie one behind the other, unless the plane through them goes on in the next pixel: its inverse distance is linear. A limit
in metres, or as a share of the distance, means another angle at every resolution and distance: it tears floors and walls that
lead away, and bridges small steps nearby.

Distances that networks say waver from pixel to pixel. What they do so everywhere around is no tear: the tolerance grows with it.
"""

import numpy as np
from numpy.typing import NDArray

from geometry.directions import erp_angles
from geometry.resampling.padding import sphere_rows
from geometry.surfaces.gradients import sphere_neighbours

Array = NDArray[np.floating]
BoolArray = NDArray[np.bool_]

MAX_INCIDENCE = float(np.radians(80))
"""Radians. Chosen on scenes with seeds from 71000 on; benchmarks/results/labels/incidence.md is of others."""
TOLERANCE = 0.01
"""By what share distances on one surface may be off at least without meaning anything: the storage's float16, and a little noise.
Near the poles it decides, where neighbours in a row are next to no angle apart."""
WAVERING, MOST = 3.0, 0.1
"""As many times what distances waver by around a pixel are no tear, up to that share; chosen on seeds from 73000 on."""
AROUND, FEWEST = 32, 8
"""Blocks from pole to pole in which that is measured, of so many pixels at least."""


def incidence(first: Array, second: Array, angle: Array | float) -> Array:
    """Incidence angle, in radians, of the plane through points at distances ``first`` and ``second`` on rays ``angle`` apart, on
    the rays' bisector."""
    return np.arctan2(np.abs(second - first), (first + second) * np.tan(angle / 2))


def within_incidence(
    first: Array,
    second: Array,
    angle: Array | float,
    max_incidence: float = MAX_INCIDENCE,
    tolerance: Array | float = TOLERANCE,
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
    tolerance : float, or array that broadcasts
        By what share the distances may be off.

    Raises
    ------
    ValueError
        If the limit is not between 0 and a right angle, or the tolerance is negative.
    """
    if not 0 <= max_incidence <= np.pi / 2 or np.min(tolerance) < 0:
        raise ValueError(
            "a surface is seen at 0 to 90 degrees, and a tolerance is not negative; got "
            f"{np.degrees(max_incidence):g} degrees and {np.min(tolerance):g}"
        )
    known = (first > 0) & (second > 0)
    if max_incidence == np.pi / 2:
        return known
    most = np.asarray(np.tan(np.asarray(angle) / 2) * np.tan(max_incidence) + tolerance / 2)
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
    max_incidence : as of :func:`within_incidence`
    tolerance : float
        The least; see :func:`tolerances`.

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
    allowed = tolerances(depth, valid, tolerance)
    # Lines go along the first axis, and two pixels on at both ends.
    right = _joined_along(sphere_rows(known, 0, height, 2).T, sphere_rows(allowed, 0, height, 2).T, across.T, max_incidence)
    beyond = [sphere_rows(array, -2, height + 2, 0) for array in (known, allowed)]
    return right[1:].T, _joined_along(beyond[0], beyond[1], np.pi / height, max_incidence)


def tolerances(depth: Array, valid: BoolArray, tolerance: float = TOLERANCE) -> NDArray[np.float32]:
    """By what share the distance of each pixel (H, W) may be off without meaning anything: ``tolerance``, or more where distances
    waver.

    That is the median, around the pixel, of the second differences of inverse distances, which planes have none of. Of those
    along a row and along a column the smaller one: at a straight edge only one is large.

    Raises
    ------
    ValueError
        If the tolerance is negative.
    """
    if tolerance < 0:
        raise ValueError(f"a surface is seen at 0 to 90 degrees, and a tolerance is not negative; got {tolerance:g}")
    height, width = depth.shape
    inverse = np.divide(1, depth, out=np.zeros(depth.shape, np.float32), where=valid & (depth > 0))
    left, right, above, below = sphere_neighbours(inverse)
    bent = np.minimum(np.abs(left - 2 * inverse + right), np.abs(above - 2 * inverse + below))
    known = np.minimum(np.minimum(left, right), np.minimum(above, below)) > 0
    share = np.divide(bent, inverse, out=np.full_like(bent, np.inf), where=known & (inverse > 0))
    size = max(FEWEST, -(-height // AROUND))
    share = np.pad(share, ((0, -height % size), (0, -width % size)), constant_values=np.inf)
    blocks = share.reshape(share.shape[0] // size, size, -1, size).swapaxes(1, 2).reshape(-1, share.shape[1] // size, size * size)
    blocks = np.sort(blocks, axis=-1)
    middle = np.maximum(np.isfinite(blocks).sum(axis=-1, keepdims=True) - 1, 0) // 2
    median = np.take_along_axis(blocks, middle, axis=-1)[..., 0]
    allowed = np.clip(np.where(np.isfinite(median), WAVERING * median, 0), tolerance, max(tolerance, MOST))
    return np.repeat(np.repeat(allowed, size, axis=0), size, axis=1)[:height, :width].astype(np.float32)


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


def _joined_along(lines: Array, allowed: Array, angle: Array | float, max_incidence: float) -> BoolArray:
    """Neighbours (N - 3, M) along the first axis of lines (N, M); the first and the last of a line only tell how planes go on."""
    inverse = np.divide(1, lines, out=np.zeros(lines.shape, np.result_type(lines, np.float32)), where=lines > 0)
    first, second = inverse[1:-2], inverse[2:-1]
    tolerance = np.maximum(allowed[1:-2], allowed[2:-1])
    near = within_incidence(lines[1:-2], lines[2:-1], angle, max_incidence, tolerance)
    least = tolerance * np.minimum(first, second)
    bent = np.abs(inverse[:-2] - 2 * inverse[1:-1] + inverse[2:])
    before, after = inverse[:-3] > 0, inverse[3:] > 0
    return near | (least > 0) & ((before & (bent[:-1] <= least)) | (after & (bent[1:] <= least)))
