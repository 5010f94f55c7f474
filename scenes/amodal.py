"""Amodal masks: the whole of every object in view, also where something else hides it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from scenes.world import Scene, embree_scene

Array = NDArray[np.floating]


def amodal_masks(scene: Scene, position: Array, directions: Array) -> dict[int, NDArray[np.bool_]]:
    """Every thing that would be seen if it stood alone: instance -> mask (H, W).

    Parameters
    ----------
    scene : Scene
    position : (3,) world metres
    directions : (H, W, 3) unit, world frame

    Notes
    -----
    Each object is cast alone, and only along the rays within the cone that its corners span.
    """
    height, width = directions.shape[:2]
    rays = directions.reshape(-1, 3)
    masks = {}
    for instance in np.unique(scene.instances[scene.instances > 0]):
        triangles = scene.triangles[scene.instances == instance]
        mask = np.zeros(height * width, bool)
        near = np.flatnonzero(_within_cone(rays, triangles.reshape(-1, 3) - position))
        origins = np.broadcast_to(np.asarray(position, np.float32), (len(near), 3))
        if len(near):
            hit = embree_scene(triangles).run(np.ascontiguousarray(origins), np.ascontiguousarray(rays[near], np.float32))
            mask[near] = np.asarray(hit) >= 0
        if mask.any():
            masks[int(instance)] = mask.reshape(height, width)
    return masks


def _within_cone(rays: Array, corners: Array) -> NDArray[np.bool_]:
    """Rays inside a circular cone that holds all corners; all rays if the cone would be wider than a half-space."""
    towards = corners / np.maximum(np.linalg.norm(corners, axis=1, keepdims=True), 1e-9)
    axis = towards.mean(axis=0)
    length = np.linalg.norm(axis)
    narrowest = float((towards @ axis).min() / max(length, 1e-9))
    if length < 1e-6 or narrowest <= 0:
        return np.ones(len(rays), bool)
    return rays @ (axis / length) >= narrowest - 1e-6


def run_lengths(mask: NDArray[np.bool_]) -> dict[str, list[int]]:
    """COCO's uncompressed run-length encoding: column by column, runs of zeros and ones in turn, zeros first."""
    flat = mask.T.ravel()
    changes = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    edges = np.concatenate([[0], changes, [flat.size]])
    counts = np.diff(edges).tolist()
    return {"size": list(mask.shape), "counts": [0, *counts] if flat[0] else counts}


def decode_run_lengths(encoded: dict[str, Sequence[int]]) -> NDArray[np.bool_]:
    """The mask (H, W) that :func:`run_lengths` encoded."""
    height, width = encoded["size"]
    values = np.arange(len(encoded["counts"])) % 2 == 1
    return np.repeat(values, encoded["counts"]).reshape(width, height).T
