"""Patch labels of one panorama to ERP labels on a device: what :func:`geometry.fusion.fuse.fuse` does, pixel by pixel there.

Masks and classes are equal to numpy's, depths within 1e-6, and bytes of consistency differ by one in at most 1e-4 of the pixels;
tests hold it. No sum depends on the order of threads: the same input gives the same bytes on the same kind of device.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from geometry.device.alignment import aligned
from geometry.device.fields import DeviceField, cut
from geometry.device.kernels.depth import Depth
from geometry.device.kernels.fusing import Fused, fuse_kernel
from geometry.device.kernels.normals import Normals
from geometry.device.kernels.semantics import Semantics
from geometry.device.kernels.sky import Sky
from geometry.device.kernels.slots import Look
from geometry.device.launching import block_of, launched
from geometry.device.views import DeviceViews, device_views
from geometry.fusion.fuse import COUNTED, FusionSettings
from geometry.fusion.sky import IS_SKY, OF_LAND
from geometry.resampling.patches import extract_nearest
from geometry.spheres import View

Tensors = dict[str, torch.Tensor]
ALIGNED = 256
"""Bytes at whose multiples results begin."""


def fuse_on_device(
    fields: Mapping[str, DeviceField],
    cameras: Mapping[str, Sequence[View]],
    height: int,
    width: int,
    settings: FusionSettings,
    observed: NDArray[np.bool_] | None = None,
) -> Tensors:
    """Fuse the fields of one panorama.

    Parameters
    ----------
    fields : mapping of name to field
        All on one device. ``instances`` are not fused here.
    cameras : by the name of each field, its views
    height, width, settings, observed
        As :func:`geometry.fusion.fuse.fuse` takes them, but for a depth of kind ``gradient``.

    Returns
    -------
    dict of (height, width[, 3]) tensors
        Named and typed as there, masks as uint8; ``enforce_normals`` is left to the CPU.
    """
    device = str(next(iter(fields.values())).values.device)
    seen = None if observed is None else torch.from_numpy(observed.view(np.uint8)).to(device)
    views = {name: _views(cameras[name], height, width, settings, device) for name in fields}
    out = _room(fields, height * width, settings, device)
    teller = _teller(fields, settings)
    counted = next((name for name in COUNTED if name in fields), next(iter(fields)))
    first = [views[teller]] if teller else []  # others look up its sky
    for one in {id(one): one for one in [*first, *views.values()]}.values():
        names = {name for name in fields if views[name] is one}
        land = _without_sky({name: fields[name] for name in names}, fields, teller, settings, one, out, names, (height, width))
        _launch(land, one, out, settings, seen, teller, counted in names)
    return {name: tensor.reshape(height, width, *tensor.shape[1:]) for name, tensor in out.items()}


def _views(cameras: Sequence[View], height: int, width: int, settings: FusionSettings, device: str) -> DeviceViews:
    return device_views(tuple(cameras), height, width, settings.off_axis_power, settings.edge_feather, device)


def _room(fields: Mapping[str, Any], pixels: int, settings: FusionSettings, device: str) -> Tensors:
    """Results (M[, 3]) to be filled, in one piece of memory, so that one copy brings all of them back."""
    label = torch.uint8 if settings.classes <= 256 else torch.uint16
    kinds: dict[str, Any] = {"views": torch.uint8}
    if "depth" in fields:
        kinds |= {"depth": torch.float32, "depth_valid": torch.uint8, "depth_consistency": torch.uint8}
    if "normals" in fields:
        kinds |= {"normals": torch.float32} | {f"normals_{one}": torch.uint8 for one in ("valid", "agreement", "consistency")}
    if "semantics" in fields:
        kinds |= {"semantics": label, "semantics_runner_up": label}
        kinds |= {f"semantics_{one}": torch.uint8 for one in ("valid", "confidence", "consistency")}
    if _teller(fields, settings) is not None:
        kinds["sky"] = torch.uint8
    sizes = {name: pixels * kind.itemsize * (3 if name == "normals" else 1) for name, kind in kinds.items()}
    starts = dict(zip(sizes, np.cumsum([0, *(-(-size // ALIGNED) * ALIGNED for size in sizes.values())]).tolist()))
    memory = torch.empty(starts[name := list(sizes)[-1]] + sizes[name], dtype=torch.uint8, device=device)
    parts = {name: memory[starts[name] : starts[name] + sizes[name]].view(kind) for name, kind in kinds.items()}
    return parts | ({"normals": parts["normals"].reshape(pixels, 3)} if "normals" in parts else {})


def _teller(fields: Mapping[str, Any], settings: FusionSettings) -> str | None:
    """The field that speaks of the sky, if any does."""
    if "sky" in fields:
        return "sky"
    return "semantics" if "semantics" in fields and settings.sky_class is not None else None


def _without_sky(
    own: dict[str, DeviceField],
    fields: Mapping[str, DeviceField],
    teller: str | None,
    settings: FusionSettings,
    views: DeviceViews,
    out: Tensors,
    names: set[str],
    size: tuple[int, int],
) -> dict[str, DeviceField]:
    """The fields of one layout, depth and normals not valid where their own views see sky, or look at that of the panorama."""
    if teller is None or not names & set(OF_LAND):
        return own
    if teller in names:
        is_sky = _sky_of_views(fields[teller], settings)
    else:
        is_sky = out["sky"][_nearest(views.cameras, *size, str(out["sky"].device))]
    return own | {name: cut(own[name], 1 - is_sky) for name in OF_LAND if name in own}


def _sky_of_views(said: DeviceField, settings: FusionSettings) -> torch.Tensor:
    """(N, h, w) uint8: where views see sky."""
    if said.name == "sky":
        return said.valid & (torch.nan_to_num(said.values.float()) >= IS_SKY).to(torch.uint8)
    return said.valid & torch.eq(said.values[..., 0].to(torch.int32), settings.sky_class or 0).to(torch.uint8)


@lru_cache(maxsize=4)
def _nearest(cameras: tuple[View, ...], height: int, width: int, device: str) -> torch.Tensor:
    """(N, h, w) index of the ERP pixel that holds each patch pixel's direction."""
    numbers = np.arange(height * width, dtype=np.int32).reshape(height, width)
    return torch.from_numpy(extract_nearest(numbers, cameras).astype(np.int64)).to(device)


def _launch(
    fields: Mapping[str, DeviceField],
    views: DeviceViews,
    out: Tensors,
    settings: FusionSettings,
    observed: torch.Tensor | None,
    teller: str | None,
    counted: bool,
) -> None:
    """All fields of one layout, in one pass."""
    pixels, nothing = views.height * views.width, views.of_view
    depth, normals, semantics = (fields.get(name) for name in ("depth", "normals", "semantics"))
    distance = None if depth is None else _trusted(aligned(depth, views, settings.depth == "align"), depth.confidence)
    sky = fields.get("sky")
    tables = (views.pixel, views.dx, views.dy, views.of_view, views.geometric, views.rays, views.rotation)
    launched(
        fuse_kernel,
        pixels,
        Look(*tables, nothing if observed is None else observed),
        Depth(nothing if distance is None else distance, *_parts(depth, nothing, "confidence")),
        Normals(*_parts(normals, nothing, "values", "valid", "confidence")),
        Semantics(*_parts(semantics, nothing, "values", "valid", "confidence")),
        Sky(*_parts(sky, nothing, "values", "valid")),
        Fused(*(out.get(name, nothing) for name in Fused._fields)),
        pixels,
        views.patch,
        views.cameras[0].width,
        OBSERVED=observed is not None,
        COUNTED=counted,
        SLOTS=views.slots,
        **_asked(fields, settings, teller),
        BLOCK=block_of(pixels, views.pixel.device),
    )


def _asked(fields: Mapping[str, DeviceField], settings: FusionSettings, teller: str | None) -> dict[str, Any]:
    """What is asked of the kernel, in its own words."""
    depth, normals, semantics = (fields.get(name) for name in ("depth", "normals", "semantics"))
    said = "" if teller is None else "given" if teller not in fields else "field" if teller == "sky" else "class"
    return {
        "RANKS": 0 if semantics is None else int(semantics.values.shape[-1]),
        "DEPTH": depth is not None,
        "NORMALS": normals is not None,
        "SEMANTICS": semantics is not None,
        "SKY": said,
        "DEPTH_CONFIDENCE": depth is not None and depth.confidence is not None,
        "NORMALS_CONFIDENCE": normals is not None and normals.confidence is not None,
        "NORMALS_SAID": normals is not None and normals.said,
        "CAMERA": normals is not None and normals.frame == "camera",
        "SEMANTICS_SAID": semantics is not None and semantics.said,
        "SKY_CLASS": -1 if settings.sky_class is None else settings.sky_class,
        "SINGLE": settings.depth == "single",
        "EDGE": float(np.log1p(settings.depth_edge)),
        "SCALE": settings.consistency_scale,
        "THRESHOLD": max(settings.normals_threshold, 1e-6),
        "LEAST": settings.min_confidence,
    }


def _trusted(distance: torch.Tensor, confidence: torch.Tensor | None) -> torch.Tensor:
    """Distances, zero where the teacher's confidence is no positive number: no slope is taken to such a pixel."""
    return distance if confidence is None else torch.where((confidence > 0) & torch.isfinite(confidence), distance, 0)


def _parts(field: DeviceField | None, nothing: torch.Tensor, *names: str) -> list[torch.Tensor]:
    """A field's tensors; ``nothing`` to point at where there is none."""
    found = [getattr(field, name, None) for name in names]
    return [nothing if one is None else one for one in found]
