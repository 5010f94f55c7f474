"""Labels as pictures for people: arrays in, RGB uint8 out."""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]
INVALID = (48, 48, 52)
"""Colour of pixels without a label."""


def depth_picture(depth: NDArray[np.floating], valid: NDArray[np.bool_]) -> Picture:
    """Distances (H, W) on a logarithmic scale, near red, far blue, from the 1st to the 99th percentile of the valid ones."""
    if not valid.any():
        return _masked(np.zeros((*depth.shape, 3), np.uint8), valid)
    logs = np.log(np.maximum(depth, 1e-6))
    near, far = np.percentile(logs[valid], [1, 99])
    share = np.clip((logs - near) / max(far - near, 1e-6), 0, 1)
    return _masked(_coloured(1 - share, cv2.COLORMAP_TURBO), valid)


def normals_picture(normals: NDArray[np.floating], valid: NDArray[np.bool_]) -> Picture:
    """World normals (H, W, 3): red grows to the right, green upwards, blue backwards (towards a camera that looks forward)."""
    shown = normals * np.array([1, -1, -1], np.float32)
    return _masked(np.round((np.clip(shown, -1, 1) + 1) * 127.5).astype(np.uint8), valid)


def palette(count: int) -> Picture:
    """``count`` colours (count, 3), far apart in hue from one to the next."""
    if count == 0:
        return np.zeros((0, 3), np.uint8)
    index = np.arange(count)
    hue = (index * 0.618034 % 1 * 180).astype(np.uint8)
    saturation = np.array([200, 130, 235], np.uint8)[index % 3]
    value = np.array([235, 200, 150, 250], np.uint8)[index % 4]
    return np.asarray(cv2.cvtColor(np.stack([hue, saturation, value], axis=-1)[None], cv2.COLOR_HSV2RGB)[0], np.uint8)


def semantics_picture(labels: NDArray[np.integer], valid: NDArray[np.bool_], classes: int = 256) -> Picture:
    """Class indices (H, W) in the colours of :func:`palette`."""
    return _masked(palette(classes)[np.minimum(labels, classes - 1)], valid)


def confidence_picture(confidence: NDArray[np.uint8], valid: NDArray[np.bool_]) -> Picture:
    """Confidence (H, W) from dark (0) to bright (255)."""
    return _masked(_coloured(confidence / 255, cv2.COLORMAP_VIRIDIS), valid)


def error_picture(
    prediction: NDArray[np.floating], truth: NDArray[np.floating], valid: NDArray[np.bool_], most: float = 0.25
) -> Picture:
    """Relative error of distances (H, W), dark for none, bright from ``most`` on."""
    error = np.abs(prediction - truth) / np.maximum(truth, 1e-6)
    return _masked(_coloured(np.clip(np.where(valid, error, 0) / most, 0, 1), cv2.COLORMAP_INFERNO), valid)


def contact_sheet(pictures: Mapping[str, Picture], columns: int = 3, width: int = 480) -> Picture:
    """Named pictures of one shape side by side, each with its name on a strip below it."""
    height = round(width * next(iter(pictures.values())).shape[0] / next(iter(pictures.values())).shape[1])
    tiles = []
    for name, picture in pictures.items():
        strip = np.full((28, width, 3), 255, np.uint8)
        cv2.putText(strip, name, (6, 20), cv2.FONT_HERSHEY_SIMPLEX, 0.55, (40, 40, 40), 1, cv2.LINE_AA)
        tiles.append(np.vstack([cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA), strip]))
    tiles += [np.full_like(tiles[0], 255)] * (-len(tiles) % columns)
    return np.vstack([np.hstack(tiles[start : start + columns]) for start in range(0, len(tiles), columns)])


def _coloured(share: NDArray[np.floating], colours: int) -> Picture:
    return np.asarray(cv2.applyColorMap(np.round(share * 255).astype(np.uint8), colours)[..., ::-1], np.uint8)


def _masked(picture: Picture, valid: NDArray[np.bool_]) -> Picture:
    return np.where(valid[..., None], picture, np.array(INVALID, np.uint8))
