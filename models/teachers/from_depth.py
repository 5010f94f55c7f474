"""Normals from depth: any teacher of depth becomes one of normals too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geometry.cameras import Camera
from geometry.fields import Field, canonical
from geometry.surfaces.patch_normals import normals_from_depth
from models.teachers.base import Teacher


@dataclass(frozen=True)
class DerivedNormals:
    """A teacher of depth whose normals are those of the surface that its depth describes."""

    teacher: Teacher
    classes: tuple[str, ...]
    fields: tuple[str, ...]

    def __call__(self, patches: NDArray[np.uint8], cameras: Sequence[Camera], item: Mapping[str, object]) -> dict[str, Field]:
        said = dict(self.teacher(patches, cameras, item))
        depth = canonical(said["depth"], cameras)
        pairs = [normals_from_depth(*one) for one in zip(depth.values, depth.valid, cameras, strict=True)]
        normals, valid = (np.stack(arrays) for arrays in zip(*pairs))
        said["normals"] = Field("normals", normals.astype(np.float32), valid, "unit", "camera")
        return said


def with_derived_normals(teacher: Teacher) -> Teacher:
    """The same teacher with normals derived from its depth, in place of its own if it has any.

    Raises
    ------
    ValueError
        It says no depth, or only inverse depth up to an unknown offset, which bends planes.
    """
    if "depth" not in teacher.fields:
        raise ValueError(f"derive_normals: the teacher gives no depth, only {', '.join(teacher.fields)}; drop the key")
    if getattr(teacher, "unit", None) == "inverse":
        raise ValueError(
            "derive_normals: needs depth in metres or up to a scale, but this model gives inverse depth with an unknown offset; "
            "use a metric model, or set `depth_unit` if its weights are metric"
        )
    names = tuple(name for name in teacher.fields if name != "normals")
    return DerivedNormals(teacher, teacher.classes, (*names, "normals"))
