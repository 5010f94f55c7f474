"""Fusing depth takes a bounded number of panoramas' worth of memory, whatever their size."""

import tracemalloc
from collections.abc import Callable

import numpy as np
import pytest

from geometry import layouts
from geometry.directions import erp_directions
from geometry.fusion.fuse import FusionSettings, fuse
from geometry.fusion.normals import normal_correction
from geometry.surfaces.edges import edge_distance
from geometry.threads import WORKERS
from tests.geometry.fusion.test_fuse import depth_field
from tests.geometry.surfaces.test_auxiliaries import box, everywhere

HEIGHT = 512
PLANE = HEIGHT * 2 * HEIGHT * 4  # bytes of one float32 a pixel


def planes(work: Callable[[], object]) -> float:
    """Peak of what ``work`` allocates, what it returns included, in planes; a first call fills caches."""
    work()
    tracemalloc.start()
    try:
        kept = work()
        return tracemalloc.get_traced_memory()[1] / PLANE
    finally:
        tracemalloc.stop()
        del kept


@pytest.mark.parametrize(("method", "most"), [("single", 18), ("blend", 18), ("align", 20), ("gradient", 30)])
def test_memory_of_every_method(method, most):
    cameras = layouts.icosahedron_vertices(HEIGHT // 2)
    field = depth_field(np.stack([box(camera.directions())[0] for camera in cameras]))
    settings = FusionSettings(depth=method)
    assert planes(lambda: fuse({"depth": field}, cameras, HEIGHT, 2 * HEIGHT, settings)) < most + 2 * WORKERS


def test_memory_of_what_is_derived():
    depth, normals = (one.astype(np.float32) for one in box(erp_directions(HEIGHT, 2 * HEIGHT)))
    every = everywhere(depth.shape)
    assert planes(lambda: normal_correction(depth, every, normals, np.ones_like(depth), 0.1)) < 24
    assert planes(lambda: edge_distance(depth > 3, 0.3)) < 18
