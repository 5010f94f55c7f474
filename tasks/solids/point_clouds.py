"""Panoramas as point clouds: a point for every pixel with a distance, but at tears of the surface."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geometry.surfaces.auxiliaries import point_map
from tasks.solids.gltf import Part, glb, turned
from tasks.solids.ply import columns_of, ply
from tasks.solids.scans import Scan


@dataclass(frozen=True)
class PointCloud:
    """Points in the world.

    ``points`` (N, 3) float32 in the unit of the depth; ``colours`` (N, 3) uint8 RGB; ``spacing`` (N,) float32, about how far the
    next point lies on a surface seen face on; ``classes`` (N,) int32, -1 where there is none; ``normals`` (N, 3) float32, zero
    where there is none, or None; ``source`` (N,) uint16, number of the scan; ``vocabulary`` names
    the classes.
    """

    points: NDArray[np.float32]
    colours: NDArray[np.uint8]
    spacing: NDArray[np.float32]
    classes: NDArray[np.int32]
    normals: NDArray[np.float32] | None
    source: NDArray[np.uint16]
    vocabulary: tuple[str, ...] = ()


def point_cloud(scan: Scan, number: int = 1) -> PointCloud:
    """The points of one panorama; ``number`` becomes their source.

    Raises
    ------
    BadItem
        There is no depth, or the surface is torn at every pixel.
    """
    depth, labels = scan.depth, scan.labels
    kept, area = scan.drawn()
    classes, normals = np.full(depth.shape, -1, np.int32), None
    if "semantics" in labels:
        classes = np.where(labels["semantics_valid"], labels["semantics"], classes)
    if "normals" in labels:
        normals = scan.pose.turned((labels["normals"] * labels["normals_valid"][..., None])[kept])
    spacing = depth[kept] * np.sqrt(area[kept])
    source = np.full(len(spacing), number, np.uint16)
    points = scan.pose.placed(point_map(depth)[kept])
    return PointCloud(points, scan.colours[kept], spacing, classes[kept], normals, source, scan.classes)


def joint_cloud(scans: Iterable[Scan]) -> PointCloud:
    """The points of all panoramas; normals where every panorama has such."""
    clouds = [point_cloud(scan, number) for number, scan in enumerate(scans, 1)]
    normals = [cloud.normals for cloud in clouds if cloud.normals is not None]
    return PointCloud(
        points=np.concatenate([cloud.points for cloud in clouds]),
        colours=np.concatenate([cloud.colours for cloud in clouds]),
        spacing=np.concatenate([cloud.spacing for cloud in clouds]),
        classes=np.concatenate([cloud.classes for cloud in clouds]),
        normals=np.concatenate(normals) if len(normals) == len(clouds) else None,
        source=np.concatenate([cloud.source for cloud in clouds]),
        vocabulary=clouds[0].vocabulary,
    )


def points_as_ply(scans: Iterable[Scan]) -> tuple[bytes, dict[str, int]]:
    """Points, normals and colours in the world's frame; and how many."""
    cloud = joint_cloud(scans)
    columns = columns_of(cloud.points, "xyz")
    if cloud.normals is not None:
        columns |= columns_of(cloud.normals, ("nx", "ny", "nz"))
    return ply(columns | columns_of(cloud.colours, ("red", "green", "blue"))), {"points": len(cloud.points)}


def points_as_glb(scans: Iterable[Scan]) -> tuple[bytes, dict[str, int]]:
    """Points and colours, and normals where every point has one, for glTF knows no missing normal; and how many points."""
    cloud = joint_cloud(scans)
    opaque = np.full((len(cloud.points), 1), 255, np.uint8)  # four bytes a colour: attributes must be aligned
    attributes = {"POSITION": turned(cloud.points), "COLOR_0": np.concatenate([cloud.colours, opaque], axis=1)}
    if cloud.normals is not None and bool((np.linalg.norm(cloud.normals, axis=-1) > 0.5).all()):
        attributes["NORMAL"] = turned(cloud.normals)
    return glb([Part(attributes)]), {"points": len(cloud.points)}
