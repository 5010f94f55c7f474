"""Labels as pictures for people: arrays in, RGB uint8 out."""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]
INVALID = (48, 48, 52)
"""Colour of pixels without a label."""
ROOM = 256
"""Pixels. A narrower picture has no room for a scale."""


def panorama_picture(pixels: Picture, observed: NDArray[np.bool_] | None) -> Picture:
    """The panorama (H, W, 3), in the colour of pixels without a label where it was not photographed."""
    return pixels if observed is None else _masked(pixels, observed)


def depth_picture(depth: NDArray[np.floating], valid: NDArray[np.bool_], span: tuple[float, float] | None = None) -> Picture:
    """Distances (H, W) on a logarithmic scale, near red, far blue, over ``span`` or :func:`depth_range`; a scale tells it."""
    if not valid.any():
        return _masked(np.zeros((*depth.shape, 3), np.uint8), valid)
    near, far = span or depth_range(depth, valid)
    share = np.clip(np.log(np.maximum(depth, 1e-6) / near) / max(np.log(far / near), 1e-6), 0, 1)
    picture = _masked(_coloured(1 - share, cv2.COLORMAP_TURBO), valid)
    return _with_scale(picture, _coloured(np.linspace(1, 0, ROOM)[None], cv2.COLORMAP_TURBO), f"{near:.2g} m", f"{far:.3g} m")


def depth_range(depth: NDArray[np.floating], valid: NDArray[np.bool_]) -> tuple[float, float]:
    """The 1st and 99th percentile of valid distances (H, W), which must not be empty, in metres."""
    near, far = np.percentile(np.maximum(depth[valid], 1e-6), [1, 99])
    return float(near), float(far)


def normals_picture(normals: NDArray[np.floating], valid: NDArray[np.bool_]) -> Picture:
    """World normals (H, W, 3): red grows to the right, green upwards, blue backwards (towards a camera that looks forward)."""
    shown = normals * np.array([1, -1, -1], np.float32)
    return _masked(np.round((np.clip(shown, -1, 1) + 1) * 127.5).astype(np.uint8), valid)


def palette(count: int) -> Picture:
    """``count`` distinct colours (count, 3), far apart in hue from one to the next; the first ones do not depend on ``count``."""
    if count == 0:
        return np.zeros((0, 3), np.uint8)
    index = np.arange(count)
    hue = index * 0.618034 % 1 * 360
    saturation = np.array([0.62, 0.40, 0.78])[index % 3]
    value = np.array([0.90, 0.72, 0.52, 0.97])[index % 4]
    colours = cv2.cvtColor(np.stack([hue, saturation, value], axis=-1)[None].astype(np.float32), cv2.COLOR_HSV2RGB)[0]
    return np.round(colours * 255).astype(np.uint8)


def semantics_picture(labels: NDArray[np.integer], valid: NDArray[np.bool_], classes: int = 256) -> Picture:
    """Class indices (H, W) in the colours of :func:`palette`."""
    return _masked(palette(classes)[np.minimum(labels, classes - 1)], valid)


def confidence_picture(confidence: NDArray[np.uint8], valid: NDArray[np.bool_]) -> Picture:
    """Confidence (H, W) from dark (0) to bright (255)."""
    picture = _masked(_coloured(confidence / 255, cv2.COLORMAP_VIRIDIS), valid)
    return _with_scale(picture, _coloured(np.linspace(0, 1, ROOM)[None], cv2.COLORMAP_VIRIDIS), "0", "1")


def error_picture(
    prediction: NDArray[np.floating], truth: NDArray[np.floating], valid: NDArray[np.bool_], most: float = 0.25
) -> Picture:
    """Relative error of distances (H, W), dark for none, bright from ``most`` on."""
    error = np.abs(prediction - truth) / np.maximum(truth, 1e-6)
    picture = _masked(_coloured(np.clip(np.where(valid, error, 0) / most, 0, 1), cv2.COLORMAP_INFERNO), valid)
    return _with_scale(picture, _coloured(np.linspace(0, 1, ROOM)[None], cv2.COLORMAP_INFERNO), "0 %", f">{most * 100:g} %")


def angle_picture(one: NDArray[np.floating], other: NDArray[np.floating], valid: NDArray[np.bool_], most: float = 45) -> Picture:
    """Angle between unit vectors (H, W, 3), dark for none, bright from ``most`` degrees on."""
    angle = np.degrees(2 * np.arcsin(np.clip(np.linalg.norm(one - other, axis=-1) / 2, 0, 1)))
    picture = _masked(_coloured(np.clip(np.where(valid, angle, 0) / most, 0, 1), cv2.COLORMAP_INFERNO), valid)
    return _with_scale(picture, _coloured(np.linspace(0, 1, ROOM)[None], cv2.COLORMAP_INFERNO), "0 deg", f">{most:g} deg")


def difference_picture(one: NDArray[np.integer], other: NDArray[np.integer], valid: NDArray[np.bool_]) -> Picture:
    """Where two maps of classes (H, W) differ: bright; where they agree: dark."""
    return _masked(_coloured(np.where(one != other, 0.8, 0.0), cv2.COLORMAP_INFERNO), valid)


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


def _with_scale(picture: Picture, ramp: Picture, low: str, high: str) -> Picture:
    """The picture with a colour scale (1, n, 3) between two captions on its lower edge: the nadir, where least is lost."""
    height, width = picture.shape[:2]
    if width < ROOM:
        return picture
    unit = width // 42
    picture, font, size, stroke = picture.copy(), cv2.FONT_HERSHEY_SIMPLEX, unit / 24, max(unit // 12, 1)
    spans = [cv2.getTextSize(text, font, size, stroke)[0][0] for text in (low, high)]
    top, bar, left = height - 2 * unit, 10 * unit, 2 * unit + spans[0]
    cv2.rectangle(picture, (0, top - unit // 2), (left + bar + 2 * unit + spans[1], height), (20, 20, 22), -1)
    for text, x in ((low, unit), (high, left + bar + unit)):
        cv2.putText(picture, text, (x, top + unit), font, size, (240, 240, 240), stroke, cv2.LINE_AA)
    picture[top : top + unit, left : left + bar] = cv2.resize(ramp, (bar, unit), interpolation=cv2.INTER_LINEAR)
    return picture
