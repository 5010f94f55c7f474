"""Distances of all views on one scale, on a device: the fits of :mod:`geometry.fusion`, of samples that the device takes.

The fits themselves stay on the CPU. They see a coarse ERP of some hundred thousand numbers, which is all that is copied for them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from geometry.device.fields import DeviceField
from geometry.device.kernels.distances import bent_kernel, coarse_kernel, radial_kernel, stored_kernel, uninverted_kernel
from geometry.device.launching import block_of, launched
from geometry.device.views import CoarseViews, DeviceViews, coarse_views
from geometry.fusion.alignment import view_affines, view_scales
from geometry.fusion.bends import TERMS, view_bends
from geometry.fusion.fuse import ON_ONE_SCALE
from geometry.spheres import Sphere


def aligned(depth: DeviceField, views: DeviceViews, straight: bool) -> torch.Tensor:
    """Radial distances (N, h, w) float32, zero where there is none: what ``aligned_distance`` gives on the CPU and, if
    ``straight``, what ``straightened`` makes of it."""
    distance = radial(depth, views)
    device = str(distance.device)
    if depth.unit == "inverse":
        coarse = coarse_views(views.cameras, device)
        inverse = _samples(distance, coarse, views, log=False)
        affine = np.stack(view_affines(inverse, np.where(np.isfinite(inverse), coarse.cosine, np.nan)), axis=1)
        _run(uninverted_kernel, distance, views.cosine, views.of_view, _upload(affine.astype(np.float32), device), views=views)
    if depth.unit == "scale":
        coarse = coarse_views(views.cameras, device)
        scales = view_scales(_log(_samples(distance, coarse, views, log=False)))
        distance *= _upload(scales.astype(np.float32), device)[:, None, None]
    if straight and not any(isinstance(camera, Sphere) for camera in views.cameras):
        coarse = coarse_views(views.cameras, device)
        logs = _samples(distance, coarse, views, log=True)
        bends = view_bends(logs, coarse.terms, depth.unit in ON_ONE_SCALE)
        _run(bent_kernel, distance, coarse.patch_terms, _upload(bends, device), views=views, TERMS=TERMS)
    return distance


def radial(depth: DeviceField, views: DeviceViews) -> torch.Tensor:
    """Canonical distances (N, h, w) float32, or inverse ones, rounded as the store rounds them if they were only said so far."""
    out = torch.empty(depth.valid.shape, dtype=torch.float32, device=depth.values.device)
    shares, inverse = depth.factor is not None, depth.unit == "inverse"
    factor = depth.factor if depth.factor is not None else views.rotation
    axis = depth.said and depth.frame == "axis"
    tensors = (depth.values, depth.valid, views.cosine, views.of_view, factor, out)
    _run(radial_kernel, *tensors, views=views, AXIS=axis, INVERSE=inverse, SHARES=shares)
    if depth.said and not inverse:
        _run(stored_kernel, out, view_factors(out), views=views)
    return out


def view_factors(distance: torch.Tensor) -> torch.Tensor:
    """The power of two (N,) float32 next to the median distance of each view (N, h, w): the unit of its stored distances."""
    told = distance.flatten(1)
    told = torch.where(told > 0, told, torch.nan)
    count = (told > 0).sum(1)
    lower = told.nanmedian(dim=1).values
    below = (told <= lower[:, None]).sum(1)
    above = torch.where(told > lower[:, None], told, torch.inf).amin(1)
    upper = torch.where((count % 2 == 0) & (below * 2 <= count), above, lower)
    median = torch.where(count > 0, (lower + upper) / 2, 1.0)
    power = torch.log2(median).round().clamp(-126, 127).to(torch.int32)
    return ((power + 127) << 23).view(torch.float32)


def _samples(distance: torch.Tensor, coarse: CoarseViews, views: DeviceViews, log: bool) -> NDArray[np.float32]:
    """What the views say at the directions of the coarse ERP, (N, M), not a number where they say nothing."""
    out = torch.empty(coarse.pixel.shape, dtype=torch.float32, device=distance.device)
    total, width = coarse.pixel.numel(), views.cameras[0].width
    tensors = (distance, coarse.pixel, coarse.dx, coarse.dy, out)
    launched(coarse_kernel, total, *tensors, total, views.patch, width, LOG=log, BLOCK=block_of(total, out.device))
    return coarse.spread(out.cpu().numpy())


def _log(values: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.log(np.where(values > 0, values, np.nan))


def _run(kernel: Any, *tensors: torch.Tensor, views: DeviceViews, **constants: Any) -> None:
    """A kernel over all pixels of all views."""
    total = len(views.cameras) * views.patch
    launched(kernel, total, *tensors, total, views.patch, **constants, BLOCK=block_of(total, tensors[0].device))


def _upload(array: NDArray[Any], device: str) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(array)).to(device)
