"""What labels are written as in three dimensions, by the ending of the file."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from functools import partial

from geometry.surfaces import incidence
from tasks.solids.colmap import Written, colmap_project
from tasks.solids.meshes import mesh_as_glb, mesh_as_ply
from tasks.solids.nerfstudio import nerfstudio_data
from tasks.solids.point_clouds import points_as_glb, points_as_ply
from tasks.solids.scans import Scan
from tasks.solids.splats import splats_as_ply


def _las(scans: Iterable[Scan], packed: bool = False) -> tuple[bytes, dict[str, int]]:
    from tasks.solids.las import points_as_las  # an optional library

    return points_as_las(scans, packed)


FORMATS: Mapping[str, Callable[[Iterable[Scan]], tuple[bytes, dict[str, int]]]] = {
    "ply": points_as_ply,
    "glb": points_as_glb,
    "mesh.ply": mesh_as_ply,
    "mesh.glb": mesh_as_glb,
    "splat.ply": splats_as_ply,
    "las": _las,
    "laz": partial(_las, packed=True),
}
"""Scans -> a file, and how many points or triangles it holds. Scans are taken one by one."""

PROJECTS: Mapping[str, Callable[[Iterable[Scan]], Written]] = {"colmap": colmap_project, "nerfstudio": nerfstudio_data}
"""Scans -> the files of a folder, one by one, for programs that want pictures with poses."""

FEW_POINTS = 100_000
"""Of each panorama, in a project, if nobody says otherwise: what such programs begin with."""

NEEDS = {"las": ("laspy", "panolabel[las]"), "laz": ("lazrs", "panolabel[las]")}
"""Formats with a library that not everybody has, and what to install for it."""

MAX_INCIDENCE = math.degrees(incidence.MAX_INCIDENCE)
"""Degrees: the most obliquely that a surface is seen, if nobody says otherwise."""
