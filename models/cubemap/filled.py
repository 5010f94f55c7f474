"""Sky filled in as PaGeR's files have it. Labels of this project keep the sky apart instead."""

from __future__ import annotations

import numpy as np
import torch

from models.cubemap.configuration import Conventions
from models.cubemap.outputs import FloatArray, Geometry
from models.cubemap.skies import SkySettings, pooled, specks


def filled(
    geometry: Geometry, conventions: Conventions, settings: SkySettings | None = None
) -> tuple[FloatArray | None, FloatArray | None]:
    """Distances and normals with the sky of PaGeR (arXiv 2605.26368): 75 s away, and of no direction.

    log r' = (1 - a) log r + a (log farthest + log s), n' = (1 - a) n / |(1 - a) n|, a being ``geometry.sky``. Where the opening
    took out specks of sky, r is the least distance around, for what the network said there was the sky's.

    Parameters
    ----------
    geometry : Geometry
        As :func:`models.cubemap.outputs.compose` makes it, with the same ``conventions`` and ``settings``.

    Returns
    -------
    distance : (S, h, w) float32, or None as in ``geometry``
    normals : (S, h, w, 3) float32, zero in what is all sky, or None as in ``geometry``
    """
    sky, distance, normals = geometry.sky, geometry.distance, geometry.normals
    if sky is None or geometry.sky_probability is None or not sky.any():
        return distance, normals
    if distance is not None:
        settings = settings or SkySettings()
        killed = specks(torch.from_numpy(geometry.sky_probability), settings).numpy()
        least = -pooled(-torch.from_numpy(distance)[:, None], settings.opening)[:, 0].numpy()
        log_far = np.log(conventions.farthest) + geometry.notes.get("log_scale", 0.0)
        log_land = np.log(np.where(killed, least, distance))
        distance = np.exp((1 - sky) * log_land + sky * log_far).astype(np.float32)
    if normals is not None:
        land = normals * (1 - sky)[..., None]
        normals = (land / np.maximum(np.linalg.norm(land, axis=-1, keepdims=True), 1e-12)).astype(np.float32)
    return distance, normals
