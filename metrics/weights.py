"""Weights of ERP pixels: by solid angle or all alike, and the rows that a latitude band or a pole crop takes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from geometry.directions import erp_angles, erp_area_weights

LATITUDE_BANDS = {"0-30": (0, 30), "30-60": (30, 60), "60-75": (60, 75), "75-90": (75, 90)}
"""Name -> range of |latitude| in degrees."""


def row_weights(height: int, by_area: bool) -> NDArray[np.floating]:
    """Weight (H,) of every row's pixels: cos(latitude), or 1."""
    return erp_area_weights(height) if by_area else np.ones(height)


def area_mean(values: NDArray[np.floating | np.bool_], judged: NDArray[np.bool_]) -> float | None:
    """Mean of ``values`` (H, W) over the judged pixels (H, W), weighted by solid angle; None if there are none."""
    area = erp_area_weights(len(values))
    total = float(area @ judged.sum(axis=1))
    return float(area @ np.where(judged, values, 0).sum(axis=1, dtype=np.float64)) / total if total > 0 else None


def band_rows(height: int) -> dict[str, NDArray[np.bool_]]:
    """Which rows (H,) belong to each latitude band, both hemispheres together."""
    latitude = np.degrees(np.abs(erp_angles(height, 1)[1]))
    return {name: (latitude >= low) & (latitude < high) for name, (low, high) in LATITUDE_BANDS.items()}


def kept_rows(height: int, pole_crop: float) -> NDArray[np.bool_]:
    """Rows (H,) that remain when a share of the height is cut off at the top and at the bottom."""
    cut = round(height * pole_crop)
    rows = np.arange(height)
    return (rows >= cut) & (rows < height - cut)
