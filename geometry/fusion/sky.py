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
from geometry.resampling.backproject import BackProjection, Band, by_band

FloatArray = NDArray[np.float32]
BoolArray = NDArray[np.bool_]
IS_SKY = 0.5
"""Least probability of a pixel that is sky."""
OF_LAND = ("depth", "normals")
"""Fields that mean nothing in the sky."""


def sky_class(classes: Sequence[str]) -> int | None:
    """Index of the class that means sky, or None: ``sky``, alone or before synonyms, or COCO's ``sky-other-merged``."""
    named = (name.split(",")[0].strip().lower() for name in classes)
    return next((index for index, name in enumerate(named) if name in ("sky", "sky-other", "sky-other-merged")), None)


def without_sky(fields: Mapping[str, Field], sky_class: int | None) -> dict[str, Field]:
    """The fields of one panorama's views, in which no depth or normal is valid where its own view sees sky.

    Parameters
    ----------
    fields : mapping of name to Field
        Over the same N views. Sky is what ``sky`` says, or without it the first class of ``semantics``.
    sky_class : int or None
        Label that means sky.

    Returns
    -------
    dict of Field
    """
    sky = _sky_of_views(fields, sky_class)
    land = {} if sky is None else {name: replace(one, valid=one.valid & ~sky) for name, one in fields.items() if name in OF_LAND}
    return {**fields, **land}


def _sky_of_views(fields: Mapping[str, Field], sky_class: int | None) -> BoolArray | None:
    """(N, h, w), or None where no field speaks of the sky."""
    if "sky" in fields:
        said = fields["sky"]
        return said.valid & (np.nan_to_num(said.values) >= IS_SKY)
    if "semantics" in fields and sky_class is not None:
        classes = fields["semantics"]
        return classes.valid & (classes.values[..., 0] == sky_class)
    return None


def fused_sky(
    fields: Mapping[str, Field],
    labels: Mapping[str, NDArray],
    views: Sequence[BackProjection],
    geometric: Sequence[FloatArray],
    sky_class: int | None,
) -> dict[str, BoolArray]:
    """``sky`` (H, W) from its own field, else from the fused classes; nothing where neither says of it."""
    if "sky" in fields:
        return {"sky": _voted(fields["sky"], views, geometric)}
    if "semantics" in fields and sky_class is not None:
        return {"sky": labels["semantics_valid"] & (labels["semantics"] == sky_class)}
    return {}


def _voted(sky: Field, views: Sequence[BackProjection], geometric: Sequence[FloatArray]) -> BoolArray:
    weight = combined_weights(sky.valid & np.isfinite(sky.values), None, geometric)
    height, width = views[0].height, views[0].width
    covered = np.empty((height, width), np.bool_)

    def fuse_band(band: Band) -> None:
        total, _ = sum_band(band, packed, width)
        covered[band[0]] = (total[..., 1] > 0) & (total[..., 0] >= IS_SKY * total[..., 1])

    packed = pack_all(sky.values[..., None], weight)
    in_threads(fuse_band, by_band(views))
    return covered
