"""A picture of what was tried: array by array as it is stored, as it was tried, and where the two differ."""

from __future__ import annotations

import io
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from flows.trying.difference import CLASS_MAP
from tasks.pages.pictures import (
    Picture,
    angle_picture,
    confidence_picture,
    contact_sheet,
    depth_picture,
    depth_range,
    difference_picture,
    normals_picture,
    semantics_picture,
)

MOST_ROWS = 6
LEAST_PIXELS = 8
"""An array with shorter sides is a table."""
Values = Mapping[str, NDArray]


def sheet(tried: Values, stored: Values | None) -> Picture | None:
    """Rows of pictures (H, W, 3); None if no array looks like anything.

    Parameters
    ----------
    tried : arrays (H, W[, 3]), or (N, H, W[, 3]) of views, which are shown beside each other, by name
    stored : what they are held against, if there is anything
    """
    order = sorted(tried, key=lambda name: (name.endswith("_valid"), name.count("_"), name))
    maps = {name: found for name in order if (found := flat(tried[name])) is not None}
    drawn: dict[str, Picture] = {}
    for name in list(maps)[:MOST_ROWS]:
        drawn |= _row(name, maps[name], _valid(name, tried, maps[name]), stored)
    return contact_sheet(drawn, 1 if stored is None else 3) if drawn else None


def encoded(picture: Picture, ending: str) -> bytes:
    """A picture (H, W, 3) as a file of that ending, ``.jpg`` or another that Pillow writes."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, Image.registered_extensions()[ending.lower()])
    return buffer.getvalue()


def flat(array: NDArray) -> NDArray | None:
    """A map (H, W[, 3]) as it is, and maps of views (N, H, W[, 3]) beside each other; None of what is no map."""
    sides = array.shape[:-1] if array.ndim > 2 and array.shape[-1] == 3 else array.shape
    if len(sides) not in (2, 3) or min(sides[-2:]) < LEAST_PIXELS or 0 in array.shape:
        return None
    if len(sides) == 2:
        return array
    columns = int(np.ceil(np.sqrt(2 * len(array))))
    room = np.zeros((-len(array) % columns, *array.shape[1:]), array.dtype)
    views = np.concatenate([array, room])
    return np.concatenate([np.concatenate([*views[at : at + columns]], axis=1) for at in range(0, len(views), columns)])


def _row(name: str, tried: NDArray, valid: NDArray[np.bool_], stored: Values | None) -> dict[str, Picture]:
    if stored is None:
        return {name: _drawn(name, tried, valid, tried, valid)}
    empty = np.full((*tried.shape[:2], 3), 255, np.uint8)
    before = flat(stored[name]) if name in stored else None
    seen = valid if before is None else _valid(name, stored, before)
    alike = before is not None and before.shape == tried.shape
    like, like_seen = (before, seen) if before is not None and alike else (tried, valid)
    return {
        f"{name}: stored": empty if before is None else _drawn(name, before, seen, before, seen),
        f"{name}: tried": _drawn(name, tried, valid, like, like_seen),
        f"{name}: difference" if alike else f"{name}: other shapes": _difference(like, tried, seen | valid) if alike else empty,
    }


def _valid(name: str, values: Values, drawn: NDArray) -> NDArray[np.bool_]:
    """Where a map (H, W[, 3]) has values."""
    if np.issubdtype(drawn.dtype, np.floating):
        return np.isfinite(drawn if drawn.ndim == 2 else drawn[..., 0])
    mask = values.get(f"{name}_valid")
    found = None if mask is None else flat(mask)
    return np.ones(drawn.shape[:2], bool) if found is None else found


def _drawn(name: str, array: NDArray, valid: NDArray[np.bool_], like: NDArray, like_valid: NDArray[np.bool_]) -> Picture:
    """A map in colours; numbers over the span of the one that it stands beside."""
    if array.ndim == 3:
        return array if array.dtype == np.uint8 else normals_picture(np.nan_to_num(array), valid)
    if name == CLASS_MAP:
        return semantics_picture(array, valid)
    if name == "depth" and like_valid.any():
        return depth_picture(np.nan_to_num(array), valid, depth_range(np.nan_to_num(like), like_valid))
    low, high = _span(like, like_valid)
    share = (np.nan_to_num(array.astype(np.float32)) - low) / max(high - low, 1e-6)
    return confidence_picture(np.round(np.clip(share, 0, 1) * 255).astype(np.uint8), valid)


def _span(array: NDArray, valid: NDArray[np.bool_]) -> tuple[float, float]:
    seen = array[valid].astype(np.float32)
    return (float(seen.min()), float(seen.max())) if seen.size else (0.0, 1.0)


def _difference(one: NDArray, other: NDArray, valid: NDArray[np.bool_]) -> Picture:
    """Where two maps of one shape differ, dark for not at all; numbers from none to their largest difference."""
    if one.ndim == 3 and one.dtype != np.uint8:
        return angle_picture(np.nan_to_num(one), np.nan_to_num(other), valid)
    if np.issubdtype(one.dtype, np.floating) or one.ndim == 3:
        apart = np.abs(np.nan_to_num(one.astype(np.float32)) - np.nan_to_num(other.astype(np.float32)))
        apart = apart.max(axis=-1) if apart.ndim == 3 else apart
        return confidence_picture(np.round(apart / max(float(apart.max()), 1e-12) * 255).astype(np.uint8), valid)
    return difference_picture(one, other, valid)
