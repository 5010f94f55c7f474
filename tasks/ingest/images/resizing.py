"""Panoramas at the size at which a network is shown them."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray


def resize_image(image: NDArray[np.uint8], height: int) -> NDArray[np.uint8]:
    """(height, 2 height, 3) uint8: area means where the panorama is finer, bilinear where it is coarser."""
    if image.shape[:2] == (height, 2 * height):
        return image
    how = cv2.INTER_AREA if image.shape[0] > height else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, (2 * height, height), interpolation=how), np.uint8)
