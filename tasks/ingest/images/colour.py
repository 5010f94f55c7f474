"""Colours of a picture in sRGB, whatever profile came with it."""

from __future__ import annotations

import io
from functools import lru_cache

import numpy as np
from PIL import Image, ImageCms

SAME = 2
"""Grey levels: a profile that moves no colour further is sRGB by another name, and the pixels stay as they are."""
SPACES = {"RGB": "RGB", "L": "GRAY", "CMYK": "CMYK", "LAB": "Lab"}


def to_srgb(image: Image.Image, profile: bytes | None) -> tuple[Image.Image, bool]:
    """An RGB picture from one of mode RGB, L, CMYK or LAB, and whether its profile changed any colour.

    A profile that cannot be read, or that is of another kind of colour than the pixels, says nothing.
    """
    transform = _transform(profile, image.mode)
    if transform is None or not _moves(transform, image.mode):
        return image.convert("RGB"), False
    converted = ImageCms.applyTransform(image, transform)
    assert converted is not None
    return converted, True


@lru_cache(maxsize=8)
def _transform(profile: bytes | None, mode: str) -> ImageCms.ImageCmsTransform | None:
    try:
        if mode == "LAB":
            source = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB"))
        elif profile:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            if source.profile.xcolor_space.strip() != SPACES[mode]:
                return None
        else:
            return None
        target = ImageCms.createProfile("sRGB")
        return ImageCms.buildTransform(source, target, mode, "RGB", ImageCms.Intent.RELATIVE_COLORIMETRIC)
    except (ImageCms.PyCMSError, OSError, ValueError):
        return None


def _moves(transform: ImageCms.ImageCmsTransform, mode: str) -> bool:
    """Whether a transform changes colours by more than what rounding does; those of CMYK and LAB always do."""
    if mode not in ("RGB", "L"):
        return True
    steps = np.linspace(0, 255, 16).round().astype(np.uint8)
    grid = steps if mode == "L" else np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(16, -1, 3)
    probe = Image.fromarray(np.atleast_2d(grid) if mode == "L" else grid)
    after = ImageCms.applyTransform(probe, transform)
    return bool(np.abs(np.asarray(after).astype(int) - np.asarray(probe.convert("RGB"))).max() > SAME)
