"""Which directions were photographed, on the grids on which labels are made.

A mask is taken to another grid as the pixels are, and a pixel counts only if nothing that was not photographed flows into it:
half of it black is half invented.
"""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from geometry.resampling.backproject import BackProjection, Box, backprojection
from geometry.resampling.patches import extract_patches
from geometry.spheres import View

Mask = NDArray[np.bool_]


def observed_at(observed: Mask, height: int) -> Mask:
    """A mask (H, W) as (height, 2 * height): true where a pixel of an image resized so is made of observed pixels alone.

    The resizing is that of panoramas for training and prediction: area means where the panorama is finer, bilinear where it is
    coarser.
    """
    if observed.shape == (height, 2 * height):
        return observed
    how = cv2.INTER_AREA if observed.shape[0] > height else cv2.INTER_LINEAR
    return np.asarray(cv2.resize((~observed).astype(np.float32), (2 * height, height), interpolation=how) == 0)


def observed_in_patches(observed: Mask, cameras: Sequence[View], antialias: bool = True) -> Mask:
    """Which pixels (N, h, w) of the patches that :func:`geometry.resampling.patches.extract_patches` cuts show observed pixels
    alone.

    The share that was not observed goes the way of the pixels, through the same smoothing and sampling, and must be nothing.

    Parameters
    ----------
    observed : (H, W) bool
    cameras : N cameras of one size (w, h)
    antialias : bool
        As for the pixels.
    """
    unseen = (~observed).astype(np.float32)[..., None]
    return np.asarray(extract_patches(unseen, cameras, antialias=antialias)[..., 0] == 0)


def views_of(cameras: Sequence[View], height: int, width: int, observed: Mask | None = None) -> list[BackProjection]:
    """The back-projections of N cameras into one ERP size, which see nothing but what was observed, (height, width) or all.

    Raises
    ------
    ValueError
        The mask is of another size.
    """
    views = [backprojection(camera, height, width) for camera in cameras]
    return views if observed is None else [looking_at(view, observed) for view in views]


def looking_at(view: BackProjection, observed: Mask) -> BackProjection:
    """The view as if it saw nothing of the sphere but what was observed; ``observed`` (H, W) is of the view's ERP size.

    Raises
    ------
    ValueError
        The mask is of another size.
    """
    if observed.shape != (view.height, view.width):
        raise ValueError(f"the mask of observed pixels is {observed.shape}, the ERP image {(view.height, view.width)}")
    nowhere = np.int32(view.camera.width * view.camera.height)
    return BackProjection(view.camera, view.height, view.width, tuple(_box_at(box, observed, nowhere) for box in view.boxes))


def _box_at(box: Box, observed: Mask, nowhere: np.int32) -> Box:
    kept = observed[box.rows, box.columns]
    pixel = np.where(kept, box.pixel, nowhere)
    return Box(box.rows, box.columns, pixel, box.dx * kept, box.dy * kept, box.nearness)
