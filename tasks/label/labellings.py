"""Several labellings of one panorama, through its views and through these turned, fused into one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from geometry.fields import Field, concatenate
from geometry.fusion.fuse import FusionSettings, fuse
from geometry.fusion.rotations import rotation_consistency
from geometry.fusion.sky import OF_LAND
from geometry.spheres import View
from tasks.ingest.observed import Observed

Labelling = tuple[dict[str, Field], dict[str, tuple[View, ...]]]
"""What teachers say of a panorama, field by field, and the views of each of these."""


def fuse_labellings(
    labellings: Sequence[Labelling], height: int, settings: FusionSettings, metric: bool, observed: Observed = None
) -> dict[str, NDArray]:
    """ERP labels from the views of all labellings of a panorama, and, where there are several, how far these agree.

    Arrays (height, 2 * height[, 3]) as :func:`geometry.fusion.fuse.fuse` gives them, and ``*_rotation_consistency`` uint8.
    """
    alone = [fuse(*labelling, height, 2 * height, settings, observed) for labelling in labellings]
    if len(alone) == 1:
        return alone[0]
    fields, cameras = _joined(labellings, alone)
    together = fuse(fields, cameras, height, 2 * height, settings, observed)
    agreed = rotation_consistency(alone, settings.consistency_scale, metric)
    for name in OF_LAND:
        if "sky" in together and f"{name}_rotation_consistency" in agreed:
            agreed[f"{name}_rotation_consistency"][together["sky"]] = 0
    return together | agreed


def _joined(labellings: Sequence[Labelling], alone: Sequence[Mapping[str, NDArray]]) -> Labelling:
    """Every field over the views of all labellings that have it, but for instances, which are those of the first."""
    fields, cameras = {}, {}
    for name in sorted({name for own, _ in labellings for name in own} - {"instances"}):
        having = [(own[name], views[name], fused) for (own, views), fused in zip(labellings, alone, strict=True) if name in own]
        parts = [_on_scale_of(having[0][2], said, fused) for said, _, fused in having]
        fields[name] = concatenate(parts)
        cameras[name] = tuple(camera for _, views, _ in having for camera in views)
    return fields, cameras


def _on_scale_of(first: Mapping[str, NDArray], said: Field, fused: Mapping[str, NDArray]) -> Field:
    """A field of a labelling, its depth brought to the scale of the first labelling where all views of one share a factor."""
    if said.unit != "shared" or fused is first:
        return said
    both = first["depth_valid"] & fused["depth_valid"]
    factor = np.median(first["depth"][both] / fused["depth"][both]) if both.any() else 1
    return replace(said, values=said.values * np.float32(factor))
