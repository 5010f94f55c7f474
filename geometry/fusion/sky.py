"""The sky: what each view calls sky has no distance and no normal, and what most views call sky is the panorama's.

A network says some distance of the sky too, 80 m say, and another one in every view. It is taken out view by view, before views
are held against each other: once it has had a part in their scales, a mask of the fused sky comes too late.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from geometry.fields import Field
from geometry.fusion.sums import combined_weights, in_threads, pack_all, sum_band
from geometry.looks import Look, Looks
from geometry.resampling.backproject import Band, by_band
from geometry.resampling.patches import extract_nearest
from geometry.spheres import View

BoolArray = NDArray[np.bool_]
IS_SKY = 0.5
"""Least probability of a pixel that is sky."""
OF_LAND = ("depth", "normals")
"""Fields that mean nothing in the sky."""


def sky_class(classes: Sequence[str]) -> int | None:
    """Index of the class that means sky, or None: ``sky``, alone or before synonyms, or COCO's ``sky-other-merged``."""
    named = (name.split(",")[0].strip().lower() for name in classes)
    return next((index for index, name in enumerate(named) if name in ("sky", "sky-other", "sky-other-merged")), None)


def without_sky(
    fields: Mapping[str, Field],
    sky_class: int | None,
    cameras: Mapping[str, Sequence[View]] | None = None,
    sky: BoolArray | None = None,
) -> dict[str, Field]:
    """The fields of one panorama's views, in which no depth or normal is valid where its own view sees sky.

    Parameters
    ----------
    fields : mapping of name to Field
        Sky is what ``sky`` says, or without it the first class of ``semantics``.
    sky_class : int or None
        Label that means sky.
    cameras : by the name of each field those of its views, optional
        By default all have the same. Views of which no field speaks of the sky see that of the panorama.
    sky : (H, W) bool, optional
        That of the panorama.

    Returns
    -------
    dict of Field
    """
    teller = _teller(fields, sky_class)
    if teller is None:
        return dict(fields)
    land, own = dict(fields), _sky_of_views(fields[teller], sky_class)
    for name in (name for name in OF_LAND if name in fields):
        apart = cameras is not None and tuple(cameras[name]) != tuple(cameras[teller])
        seen = extract_nearest(sky, cameras[name]) if apart and cameras is not None and sky is not None else own
        land[name] = replace(fields[name], valid=fields[name].valid & ~seen)
    return land


def _teller(fields: Mapping[str, Field], sky_class: int | None) -> str | None:
    """The field that speaks of the sky, if any does."""
    if "sky" in fields:
        return "sky"
    return "semantics" if "semantics" in fields and sky_class is not None else None


def _sky_of_views(said: Field, sky_class: int | None) -> BoolArray:
    """(N, h, w): where views see sky, by a field that speaks of it."""
    if said.name == "sky":
        return said.valid & (np.nan_to_num(said.values) >= IS_SKY)
    return said.valid & (said.values[..., 0] == sky_class)


def fused_sky(
    fields: Mapping[str, Field],
    labels: Mapping[str, NDArray],
    looks: Looks,
    sky_class: int | None,
) -> dict[str, BoolArray]:
    """``sky`` (H, W) from its own field, else from the fused classes; nothing where neither says of it."""
    if "sky" in fields:
        return {"sky": _voted(fields["sky"], looks["sky"])}
    if "semantics" in fields and sky_class is not None:
        return {"sky": labels["semantics_valid"] & (labels["semantics"] == sky_class)}
    return {}


def _voted(sky: Field, look: Look) -> BoolArray:
    weight = combined_weights(sky.valid & np.isfinite(sky.values), None, look.geometric)
    height, width = look.size
    covered = np.empty((height, width), np.bool_)

    def fuse_band(band: Band) -> None:
        total, _ = sum_band(band, packed, width)
        covered[band[0]] = (total[..., 1] > 0) & (total[..., 0] >= IS_SKY * total[..., 1])

    packed = pack_all(sky.values[..., None], weight)
    in_threads(fuse_band, by_band(look.views))
    return covered
