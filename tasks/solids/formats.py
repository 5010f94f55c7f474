"""What labels are written as in three dimensions, by the ending of the file."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from geometry.surfaces import incidence
from tasks.solids.meshes import mesh_as_glb, mesh_as_ply
from tasks.solids.point_clouds import points_as_glb, points_as_ply
from tasks.solids.scans import Scan

FORMATS: Mapping[str, Callable[[Sequence[Scan]], tuple[bytes, dict[str, int]]]] = {
    "ply": points_as_ply,
    "glb": points_as_glb,
    "mesh.ply": mesh_as_ply,
    "mesh.glb": mesh_as_glb,
}
"""Scans -> a file, and how many points or triangles it holds."""

MAX_INCIDENCE = math.degrees(incidence.MAX_INCIDENCE)
"""Degrees: the most obliquely that a surface is seen, if nobody says otherwise."""
