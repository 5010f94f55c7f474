"""High dynamic range: linear light of Radiance files, and its tone mapping to 8 bits."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from tasks.ingest.images.places import Place
from tasks.ingest.images.size import BadImage, check_size
from tasks.ingest.settings import Ingest

SIGNATURES = (b"#?RADIANCE", b"#?RGBE")
AXES = re.compile(rb"\n\n([-+])([XY]) (\d{1,9}) ([-+])([XY]) (\d{1,9})\n")
BRIGHTEST = 1e12
"""Linear light is cut here: the squares that tone mapping takes stay finite in float32."""
SEEN = 0.5
"""A pixel of this alpha or more shows something, here and in pictures of 8 bits."""


@dataclass(frozen=True)
class Light:
    """Linear light (h, w, 3) float32, where it shows something (h, w) bool, and what the file
    says of its place, and of how the camera was held."""

    linear: NDArray[np.float32]
    observed: NDArray[np.bool_]
    place: Place | None = None
    pose: Mapping[str, float] = field(default_factory=dict)


def radiance_size(head: bytes) -> tuple[int, int]:
    """Width and height from a header.

    Raises
    ------
    BadImage
        It gives none.
    """
    axes = AXES.search(head)
    if axes is None or axes[2] == axes[5]:
        raise BadImage("cannot be decoded: the HDR file is truncated or damaged (its header gives no size)")
    first, second = int(axes[3]), int(axes[6])
    return (second, first) if axes[2] == b"Y" else (first, second)


def decode_radiance(data: bytes, settings: Ingest) -> Light:
    """Linear light, upright, whichever of the format's eight orders of rows and columns the file has.

    Source: https://radsite.lbl.gov/radiance/refer/filefmts.pdf. ``-Y`` means that the first row is the top one, ``+X`` that the
    first column is the left one; with ``X`` before ``Y`` columns are stored one after the other.
    """
    width, height = radiance_size(data)
    check_size(width, height, settings)
    axes = AXES.search(data)
    assert axes is not None
    if b"32-bit_rle_xyze" in data[: axes.start()]:
        raise BadImage("an HDR file of XYZ colours is not read; save it as RGBE")
    # OpenCV knows the usual order alone. The scanlines are the same in all of them.
    plain = data[: axes.start()] + b"\n\n-Y %b +X %b\n" % (axes[3], axes[6]) + data[axes.end() :]
    try:
        linear = cv2.imdecode(np.frombuffer(plain, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        raise BadImage(f"cannot be decoded: {error.err}") from error
    if linear is None or linear.ndim != 3:
        raise BadImage("cannot be decoded: the HDR file is truncated or damaged")
    if axes[1] == (b"+" if axes[2] == b"Y" else b"-"):
        linear = linear[::-1]
    if axes[4] == (b"+" if axes[5] == b"Y" else b"-"):
        linear = linear[:, ::-1]
    upright = linear if axes[2] == b"Y" else linear.transpose(1, 0, 2)
    return Light(np.ascontiguousarray(upright[..., ::-1], np.float32), np.ones((height, width), np.bool_))


def tone_map(linear: NDArray[np.float32], middle_grey: float, observed: NDArray[np.bool_] | None = None) -> NDArray[np.uint8]:
    """Linear light (H, W, 3) to sRGB uint8: the log-average is exposed to ``middle_grey``, highlights are rolled off.

    Only ``observed`` pixels (H, W) count in the exposure; all others become 0.

    Source: Reinhard et al., Photographic tone reproduction for digital images, 2002, eq. 1-4, on luminance, with the white
    point at the 99.9th percentile.
    """
    seen = np.ones(linear.shape[:2], np.bool_) if observed is None else observed
    linear = np.clip(np.nan_to_num(linear, posinf=0.0, neginf=0.0), 0, BRIGHTEST) * seen[..., None]
    luminance = linear @ np.array([0.2126, 0.7152, 0.0722], np.float32)
    exposure = middle_grey / float(np.exp(np.mean(np.log(luminance[seen] + 1e-6))))
    exposed = luminance * exposure
    white = max(float(np.percentile(exposed[seen], 99.9)), 1.0)
    mapped = exposed * (1 + exposed / white**2) / (1 + exposed)
    colour = np.clip(linear * (mapped / np.maximum(luminance, 1e-9))[..., None], 0, 1)
    srgb = np.where(colour <= 0.0031308, colour * 12.92, 1.055 * np.power(colour, 1 / 2.4) - 0.055)
    return np.round(srgb * 255).astype(np.uint8)
