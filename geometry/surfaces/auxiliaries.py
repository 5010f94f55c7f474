"""Auxiliary labels: what a multi-task student may learn besides, derived on the sphere from a panorama and its fused labels.

| name             | array              | meaning                                                                            |
|------------------|--------------------|------------------------------------------------------------------------------------|
| `points`         | (H, W, 3) float32  | point seen by each pixel from the camera, world frame, in the unit of the depth    |
| `image_gradient` | (H, W, 2) float32  | change of luma (0 to 1) per radian to the right and down, in the tangent plane     |
| `edge_distance`  | (H, W) float32     | great-circle angle to the nearest edge of classes, sky or surfaces, radians        |

Points are zero where there is no depth. Edge distances end at :data:`EDGE_LIMIT`. Where nothing was photographed there is no edge
and no gradient, and the border to it is none: gradients are zero there and beside it, edge distances at their limit there.
"""

from collections.abc import Mapping, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from geometry.directions import erp_directions
from geometry.resampling.padding import pad_sphere
from geometry.surfaces.edges import edge_distance, label_edges
from geometry.surfaces.gradients import sphere_gradient, surrounded
from geometry.surfaces.normals import depth_edges

FloatArray = NDArray[np.float32]
Labels = Mapping[str, NDArray]
AUXILIARIES = ("points", "image_gradient", "edge_distance")
EDGE_LIMIT = float(np.radians(15))
"""Largest edge distance, radians: 85 pixels of a 2048x1024 panorama. What lies farther says nothing of an edge's place."""
LUMA = (0.2126, 0.7152, 0.0722)  # Rec. 709, of the values as they are stored


def derive_auxiliaries(
    names: Sequence[str],
    labels: Labels,
    panorama: NDArray[np.uint8] | None,
    depth_edge: float,
    observed: NDArray[np.bool_] | None = None,
) -> dict[str, FloatArray]:
    """Auxiliary labels of one panorama.

    Parameters
    ----------
    names : some of :data:`AUXILIARIES`
    labels : ERP arrays (H, W[, 3]) as :func:`geometry.fusion.fuse.fuse` gives them
    panorama : (h, w, 3) uint8 RGB, or None
        Needed for ``image_gradient`` only.
    depth_edge : float
        Relative jump of distance that counts as an edge.
    observed : (H, W) bool, optional
        Directions that were photographed, outside of which no label is valid; all by default.

    Returns
    -------
    dict
        See the module's table.

    Raises
    ------
    ValueError
        If a name is unknown, or the labels lack what it is derived from.
    """
    derived = {name: _derive(name, labels, panorama, depth_edge) for name in names}
    if observed is not None and "image_gradient" in derived:
        derived["image_gradient"][~surrounded(observed)] = 0
    if observed is not None and "edge_distance" in derived:
        derived["edge_distance"][~observed] = EDGE_LIMIT
    return derived


def _derive(name: str, labels: Labels, panorama: NDArray[np.uint8] | None, depth_edge: float) -> FloatArray:
    if name == "points":
        return point_map(_needed(labels, "depth", name))
    if name == "edge_distance":
        return edge_distance(edges(labels, depth_edge), EDGE_LIMIT)
    if name != "image_gradient":
        raise ValueError(f"unknown auxiliary label {name!r}; known: {', '.join(AUXILIARIES)}")
    if panorama is None:
        raise ValueError("image_gradient needs the panorama's pixels")
    return sphere_gradient(luma(panorama, *labels["views"].shape))


def _needed(labels: Labels, field: str, name: str) -> NDArray:
    if field not in labels:
        raise ValueError(f"{name} needs {field}, which no teacher gives")
    return labels[field]


def point_map(depth: FloatArray) -> FloatArray:
    """Points (H, W, 3) in the world frame about the camera, of distances (H, W); zero where the distance is."""
    height, width = depth.shape
    points = erp_directions(height, width, np.float32)
    points *= depth[..., None]
    return points


def luma(panorama: NDArray[np.uint8], height: int, width: int) -> FloatArray:
    """Luma (height, width) in [0, 1] of an RGB panorama (h, w, 3), averaged over pixels or interpolated around the seam."""
    total = np.zeros((height, width), np.float32)
    for channel, weight in enumerate(LUMA):  # one by one: a 16k panorama in float32 takes 1.6 GB
        total += _resized(panorama[..., channel].astype(np.float32), height, width) * np.float32(weight / 255)
    return total


def _resized(image: FloatArray, height: int, width: int) -> FloatArray:
    if height <= image.shape[0]:
        return np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA), np.float32)
    column, row = np.meshgrid(
        (np.arange(width, dtype=np.float32) + 0.5) * (image.shape[1] / width) + 0.5,  # in the image padded by one pixel
        (np.arange(height, dtype=np.float32) + 0.5) * (image.shape[0] / height) + 0.5,
    )
    return np.asarray(cv2.remap(pad_sphere(image, 1), column, row, cv2.INTER_LINEAR), np.float32)


def edges(labels: Labels, depth_edge: float) -> NDArray[np.bool_]:
    """Pixels (H, W) at which another class, the sky, or another surface begins.

    Raises
    ------
    ValueError
        If there is neither depth nor semantics nor sky.
    """
    found = np.zeros(labels["views"].shape, bool)
    if not {"depth", "semantics", "sky"} & labels.keys():
        raise ValueError("edge_distance needs depth, semantics or sky, which no teacher gives")
    if "semantics" in labels:
        found |= label_edges(labels["semantics"], labels["semantics_valid"])
    if "sky" in labels:
        found |= label_edges(labels["sky"], labels["views"] > 0)
    if "depth" in labels:
        found |= depth_edges(labels["depth"], labels["depth_valid"], depth_edge)
    return found
