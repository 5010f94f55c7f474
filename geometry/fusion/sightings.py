"""Which views see which ERP pixel, and with which patch pixel: the pairs that single views are judged on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geometry.directions import erp_area_weights, erp_directions
from geometry.fields import Field
from geometry.fusion.depth import pack_log_distance
from geometry.resampling.backproject import BackProjection, backprojection
from geometry.resampling.coordinates import erp_coordinates
from geometry.resampling.padding import pad_sphere
from geometry.resampling.patches import extract_nearest
from geometry.spheres import Sphere, View

FloatArray = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Sightings:
    """The ERP pixels that one view sees.

    Attributes
    ----------
    pixel : (M,) int32
        Flat index of the ERP pixel; every pixel occurs at most once.
    patch : (M,) int32
        Flat index of the patch pixel that contains the ERP pixel's direction.
    dx, dy : (M,) float32
        Offset of the direction from that patch pixel's centre, in patch pixels.
    """

    pixel: NDArray[np.int32]
    patch: NDArray[np.int32]
    dx: FloatArray
    dy: FloatArray


def sightings(camera: View, height: int, width: int) -> Sightings:
    """All pixels of an ERP image of ``height`` x ``width`` whose centre the camera sees."""
    view: BackProjection = backprojection(camera, height, width)
    parts = []
    for box in view.boxes:
        row, column = np.nonzero(view.seen(box))
        pixel = (row + box.rows.start) * width + column + box.columns.start
        parts.append((pixel.astype(np.int32), box.pixel[row, column], box.dx[row, column], box.dy[row, column]))
    if not parts:
        none, nothing = np.zeros(0, np.int32), np.zeros(0, np.float32)
        return Sightings(none, none, nothing, nothing)
    pixel, patch, dx, dy = (np.concatenate(column) for column in zip(*parts, strict=True))
    return Sightings(pixel, patch, dx, dy)


def patch_fields(labels: Mapping[str, NDArray], cameras: Sequence[View]) -> dict[str, Field]:
    """What a perfect teacher would say in every view: ERP labels as canonical fields.

    Parameters
    ----------
    labels : mapping
        Any of ``depth`` (H, W) with ``depth_valid``, ``normals`` (H, W, 3) with ``normals_valid``, ``semantics`` (H, W) with
        ``semantics_valid``.
    cameras : N cameras of one size

    Returns
    -------
    dict of Field
        Normals and classes are those of the nearest ERP pixel. Distances follow the surface from there to the patch pixel's
        direction, and never cross a depth edge, as in :mod:`geometry.fusion.depth`.
    """
    fields: dict[str, Field] = {}
    if "depth" in labels:
        valid = extract_nearest(labels["depth_valid"], cameras)
        distance = _distance_in_views(labels["depth"], labels["depth_valid"], cameras)
        fields["depth"] = Field("depth", np.where(valid, distance, 0).astype(np.float32), valid, "metre", "ray")
    if "normals" in labels:
        valid = extract_nearest(labels["normals_valid"], cameras)
        normals = extract_nearest(labels["normals"], cameras).astype(np.float32)
        fields["normals"] = Field("normals", normals, valid, "unit", "world")
    if "semantics" in labels:
        classes = extract_nearest(labels["semantics"], cameras).astype(np.uint16)[..., None]
        sure = np.ones(classes.shape, np.float32)
        seen = extract_nearest(labels["semantics_valid"], cameras)
        fields["semantics"] = Field("semantics", classes, seen, "class", confidence=sure)
    return fields


def _distance_in_views(depth: NDArray, valid: NDArray[np.bool_], cameras: Sequence[View]) -> FloatArray:
    """Radial distances (N, h, w); meaningless where the nearest ERP pixel is not valid."""
    height, width = depth.shape
    # One pixel beyond the seam and the poles, so that slopes are known there too.
    padded = pad_sphere(np.where(valid, depth, 0).astype(np.float32), 1)
    packed = pack_log_distance(padded, pad_sphere(valid, 1).astype(np.float32))
    patches = np.empty((len(cameras), cameras[0].height, cameras[0].width), np.float32)
    for patch, camera in zip(patches, cameras, strict=True):
        column, row = erp_coordinates(camera, height, width)
        i, j = np.minimum(row.astype(np.int32), height - 1), column.astype(np.int32)
        dx, dy = column - j - np.float32(0.5), row - i - np.float32(0.5)
        log, along_x, along_y, _ = np.moveaxis(packed[(i + 1) * (width + 2) + j % width + 1], -1, 0)
        patch[:] = np.exp(log + along_x * dx + along_y * dy)
    return patches


def solid_angles(camera: View) -> NDArray[np.floating]:
    """Solid angle (h, w) in steradians of every patch pixel, to first order: ``cos(off-axis angle) ** 3 / focal ** 2``, and
    ``cos(latitude) / focal ** 2`` in a view of the whole sphere."""
    if isinstance(camera, Sphere):
        return np.broadcast_to(erp_area_weights(camera.height)[:, None] / camera.focal**2, (camera.height, camera.width))
    return camera.cos_off_axis() ** 3 / camera.focal**2


def nearest_axis(cameras: Sequence[View], height: int, width: int) -> NDArray[np.float64]:
    """Angle (H, W) in radians from each ERP pixel to the optical axis of the nearest view that sees it; infinite without one.

    A view of the whole sphere has no axis to be off: 0.
    """
    directions = erp_directions(height, width).reshape(-1, 3)
    cosine = np.full(height * width, -np.inf)
    for camera in cameras:
        if isinstance(camera, Sphere):
            return np.zeros((height, width))
        pixel = sightings(camera, height, width).pixel
        cosine[pixel] = np.maximum(cosine[pixel], directions[pixel] @ camera.axis)
    return np.where(np.isfinite(cosine), np.arccos(np.clip(cosine, -1, 1)), np.inf).reshape(height, width)
