"""What labels are written as in three dimensions, by the ending of the file."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from geometry.surfaces import incidence
from tasks.solids.meshes import mesh_as_glb, mesh_as_ply
from tasks.solids.point_clouds import points_as_glb, points_as_ply
from tasks.solids.scans import Scan
from tasks.solids.splats import splats_as_ply


def _las(scans: Sequence[Scan], packed: bool = False) -> tuple[bytes, dict[str, int]]:
    from tasks.solids.las import points_as_las  # an optional library

    return points_as_las(scans, packed)


FORMATS: Mapping[str, Callable[[Sequence[Scan]], tuple[bytes, dict[str, int]]]] = {
    "ply": points_as_ply,
    "glb": points_as_glb,
    "mesh.ply": mesh_as_ply,
    "mesh.glb": mesh_as_glb,
    "splat.ply": splats_as_ply,
    "las": _las,
    "laz": partial(_las, packed=True),
}
"""Scans -> a file, and how many points or triangles it holds."""

NEEDS = {"las": ("laspy", "panolabel[las]"), "laz": ("lazrs", "panolabel[las]")}
"""Formats with a library that not everybody has, and what to install for it."""

MAX_INCIDENCE = math.degrees(incidence.MAX_INCIDENCE)
"""Degrees: the most obliquely that a surface is seen, if nobody says otherwise."""
