"""Panoramas as surfaces: triangles with the panorama on them, or with a colour at every corner."""

from __future__ import annotations

from collections.abc import Iterable

import cv2
import numpy as np
from numpy.typing import NDArray

from geometry.surfaces.meshes import Mesh, panorama_mesh
from tasks.solids.gltf import Part, glb, turned
from tasks.solids.ply import columns_of, ply
from tasks.solids.scans import Scan
from tasks.stage.job import BadItem

JPEG = [cv2.IMWRITE_JPEG_QUALITY, 92, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
WIDEST = 8192
"""Columns of a picture; many graphics cards take none that are wider."""


def mesh_of(scan: Scan) -> Mesh:
    """The surface of one panorama, about its camera.

    Raises
    ------
    BadItem
        There is no depth, or it makes no triangle.
    """
    mesh = panorama_mesh(scan.depth, scan.labels["depth_valid"], scan.max_incidence)
    if not len(mesh.triangles):
        raise BadItem("its distances make no surface, so it makes no mesh; --max-incidence 90 joins all pixels all the same")
    return mesh


def mesh_as_glb(scans: Iterable[Scan]) -> tuple[bytes, dict[str, int]]:
    """A mesh a panorama, with the panorama on it as it was photographed; and how many triangles."""
    parts = []
    for scan in scans:
        mesh = mesh_of(scan)
        attributes = {"POSITION": turned(scan.pose.placed(mesh.corners)), "TEXCOORD_0": mesh.places}
        parts.append(Part(attributes, mesh.triangles, _picture(scan.image)))
    return glb(parts), {"triangles": sum(len(part.triangles) for part in parts if part.triangles is not None)}


def mesh_as_ply(scans: Iterable[Scan]) -> tuple[bytes, dict[str, int]]:
    """Closed surfaces with coloured corners, in the world's frame; and how many triangles."""
    points: list[NDArray[np.float32]] = []
    colours: list[NDArray[np.uint8]] = []
    triangles: list[NDArray[np.int32]] = []
    for scan in scans:
        own, numbers, corners = mesh_of(scan).welded()
        triangles.append(corners + sum(len(one) for one in points))
        points.append(scan.pose.placed(own))
        colours.append(_colours(scan.colours)[numbers])
    columns = columns_of(np.concatenate(points), "xyz") | columns_of(np.concatenate(colours), ("red", "green", "blue"))
    faces = np.concatenate(triangles)
    return ply(columns, faces), {"triangles": len(faces)}


def _colours(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Of a mesh's points by their numbers (H W + 2, 3): pixels, then the poles, the means of their rows."""
    poles = np.rint(pixels[[0, -1]].mean(axis=1)).astype(np.uint8)
    return np.concatenate([pixels.reshape(-1, 3), poles])


def _picture(image: NDArray[np.uint8]) -> bytes:
    if image.shape[1] > WIDEST:
        image = np.asarray(cv2.resize(image, (WIDEST, WIDEST // 2), interpolation=cv2.INTER_AREA), np.uint8)
    return bytes(cv2.imencode(".jpg", image[..., ::-1], JPEG)[1])
