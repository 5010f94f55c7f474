"""Targets of the auxiliary tasks, made from a panorama and its depth."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from geometry.directions import erp_directions
from geometry.padding import pad_sphere

EDGE = 0.2
"""Sobel magnitude, of a unit step's, above which a pixel counts as an edge."""

FloatArray = NDArray[np.float32]


def image_gradient(image: NDArray[np.uint8]) -> FloatArray:
    """Sobel slopes (H, W, 2) of the brightness of (H, W, 3) RGB: to the right and down; a step from black to white gives one."""
    grey = pad_sphere(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32) / 255, 1)
    slopes = [cv2.Sobel(grey, cv2.CV_32F, *order, ksize=3, scale=0.25)[1:-1, 1:-1] for order in ((1, 0), (0, 1))]
    return np.stack(slopes, axis=-1)


def edge_distance(gradient: FloatArray) -> FloatArray:
    """log(1 + d) (H, W), d being the distance to the nearest edge of the image, in degrees of ERP rows; 180 if there is none.

    Degrees instead of pixels, so that the field does not depend on the resolution.
    """
    height, width = gradient.shape[:2]
    edges = np.hypot(gradient[..., 0], gradient[..., 1]) > EDGE
    margin = height // 2
    flat = (~pad_sphere(edges, margin)).astype(np.uint8)
    if not edges.any():
        return np.full((height, width), np.log1p(180.0), dtype=np.float32)
    pixels = cv2.distanceTransform(flat, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)[margin : margin + height, margin : margin + width]
    return np.log1p(pixels * np.float32(180 / height)).astype(np.float32)


def point_map(depth: NDArray[np.floating]) -> FloatArray:
    """Points (H, W, 3) in the panorama's own frame, of radial distances (H, W)."""
    return (depth[..., None] * erp_directions(*depth.shape)).astype(np.float32)


def auxiliary_targets(image: NDArray[np.uint8], depth: NDArray[np.floating] | None) -> dict[str, NDArray[Any]]:
    """``gradient``, ``edges``, and, where there is depth, ``points``."""
    gradient = image_gradient(image)
    targets: dict[str, NDArray[Any]] = {"gradient": gradient, "edges": edge_distance(gradient)}
    return targets if depth is None else {**targets, "points": point_map(depth)}
