"""The views of a layout on a device: their gather list, and tables that views of one size and field of view share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from geometry.device.gathering import gather_list
from geometry.fusion.alignment import COARSE
from geometry.fusion.bends import bend_terms
from geometry.observed import views_of
from geometry.resampling.backproject import BackProjection, backprojection, view_weight
from geometry.spheres import View

KEPT = 4
"""Layouts that a process keeps on its devices; the list of 20 views in 2048 x 1024 pixels takes 126 MB."""


@dataclass(frozen=True, eq=False)
class DeviceViews:
    """N views (h, w) of an ERP image (height, width). Tensors are those of :class:`geometry.device.kernels.slots.Look`.

    ``cosine`` (T, h * w) float32 is that of the off-axis angle.
    """

    cameras: tuple[View, ...]
    height: int
    width: int
    pixel: torch.Tensor
    dx: torch.Tensor
    dy: torch.Tensor
    of_view: torch.Tensor
    geometric: torch.Tensor
    cosine: torch.Tensor
    rays: torch.Tensor
    rotation: torch.Tensor

    @property
    def slots(self) -> int:
        """Views that see the pixel that most of them see."""
        return int(self.pixel.shape[0])

    @property
    def patch(self) -> int:
        """Pixels of a view."""
        return self.cameras[0].width * self.cameras[0].height


@lru_cache(maxsize=KEPT)
def device_views(
    cameras: tuple[View, ...], height: int, width: int, off_axis_power: float, edge_feather: float, device: str
) -> DeviceViews:
    """The views of a layout, made by the code of the CPU and uploaded once."""
    found = gather_list(views_of(cameras, height, width))
    alike: dict[tuple[type, float], View] = {}
    for camera in cameras:
        alike.setdefault((type(camera), camera.focal), camera)
    tables = list(alike)
    of_view = np.array([tables.index((type(camera), camera.focal)) for camera in cameras], np.int32)

    def upload(arrays: Sequence[NDArray[Any]] | NDArray[Any], dtype: Any = np.float32) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(np.asarray(arrays, dtype))).to(device)

    return DeviceViews(
        cameras,
        height,
        width,
        upload(found.pixel, np.int32),
        upload(found.dx),
        upload(found.dy),
        upload(of_view, np.int32),
        upload([view_weight(one, off_axis_power, edge_feather) for one in alike.values()]),
        upload([one.cos_off_axis() for one in alike.values()]),
        upload([one.rays() for one in alike.values()]),
        upload([one.matrix.reshape(9) for one in cameras]),
    )


@dataclass(frozen=True, eq=False)
class CoarseViews:
    """What the views see of the coarse ERP on which they are compared: P pairs of a view and a direction, ``shape`` (N, M).

    ``pixel`` (P,) int32, ``dx``, ``dy`` (P,) float32 on the device, as in a gather list; ``place`` (P,) where each stands in an
    array (N, M), flat, ``terms`` (N, M, 6) float64 and ``cosine`` (N, M) on the CPU, not a number where a view sees nothing;
    ``patch_terms`` (6, h * w) float64 on the device.
    """

    shape: tuple[int, int]
    place: NDArray[np.intp]
    pixel: torch.Tensor
    dx: torch.Tensor
    dy: torch.Tensor
    terms: NDArray[np.float64]
    cosine: NDArray[np.float32]
    patch_terms: torch.Tensor

    def spread(self, values: NDArray[Any]) -> NDArray[np.float32]:
        """Values (P,) as an array (N, M), not a number where a view sees nothing."""
        whole = np.full(self.shape[0] * self.shape[1], np.nan, np.float32)
        whole[self.place] = values
        return whole.reshape(self.shape)


@lru_cache(maxsize=KEPT)
def coarse_views(cameras: tuple[View, ...], device: str) -> CoarseViews:
    """The coarse pairs of a layout, by the code of the CPU."""
    views = [backprojection(camera, *COARSE) for camera in cameras]
    patch = cameras[0].width * cameras[0].height
    parts = [_pairs(view, number, patch) for number, view in enumerate(views)]
    place, pixel, dx, dy = (np.concatenate(column) for column in zip(*parts, strict=True))
    own = pixel % patch
    terms = bend_terms(cameras[0].height, cameras[0].width).reshape(6, -1)
    cosine = np.concatenate([camera.cos_off_axis().ravel() for camera in cameras])
    shape = (len(cameras), COARSE[0] * COARSE[1])
    at_pairs = np.full((shape[0] * shape[1], 6), np.nan)
    at_pairs[place] = terms.T[own].astype(np.float32)
    cosines = np.full(shape[0] * shape[1], np.nan, np.float32)
    cosines[place] = cosine[pixel]
    arrays = (pixel.astype(np.int32), dx, dy, terms)
    on_pixel, on_dx, on_dy, on_terms = (torch.from_numpy(np.ascontiguousarray(one)).to(device) for one in arrays)
    return CoarseViews(shape, place, on_pixel, on_dx, on_dy, at_pairs.reshape(*shape, 6), cosines.reshape(shape), on_terms)


def _pairs(view: BackProjection, number: int, patch: int) -> tuple[NDArray[Any], ...]:
    """Places in (N, M), pixels in (N, h, w), and offsets, of all that one view sees."""
    parts = []
    for box in view.boxes:
        row, column = np.nonzero(view.seen(box))
        erp = (row + box.rows.start) * view.width + column + box.columns.start
        pixel = box.pixel[row, column].astype(np.intp) + number * patch
        parts.append((erp + number * view.height * view.width, pixel, box.dx[row, column], box.dy[row, column]))
    return tuple(np.concatenate(column) for column in zip(*parts, strict=True))


def clear_cache() -> None:
    """Forget all layouts."""
    device_views.cache_clear()
    coarse_views.cache_clear()
