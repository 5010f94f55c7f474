"""Panoramas that show less than the whole sphere: a band around the horizon, 360 degrees wide.

Their capture metadata states ``vertical_degrees``, the height of the band.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray


def vertical_degrees(metadata: Mapping[str, Any]) -> float:
    """Height of the field of view that a panorama's metadata states; 180 where it states none, or nothing that makes sense."""
    stated = metadata.get("vertical_degrees", 180.0)
    usable = isinstance(stated, (int, float)) and not isinstance(stated, bool) and 0 < stated <= 180
    return float(stated) if usable else 180.0


def whole_sphere(band: NDArray) -> NDArray:
    """A band (h, W, ...) of any dtype in the middle of (W // 2, W, ...); what lies above and below is 0."""
    missing = max(0, band.shape[1] // 2 - band.shape[0])
    above = missing // 2
    return np.pad(band, ((above, missing - above), *(((0, 0),) * (band.ndim - 1))))
