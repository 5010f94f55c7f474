"""Meshes as another library reads them: a box room is closed, and the picture lies where it was seen."""

import io
from dataclasses import replace

import numpy as np
import pytest
import trimesh

from geometry.directions import directions_to_erp, erp_directions
from tasks.solids import gltf
from tasks.solids.formats import FORMATS
from tasks.solids.meshes import WIDEST
from tasks.solids.scans import Scan
from tests.geometry.surfaces.test_auxiliaries import box

HEIGHT = 64


def room(height: int = HEIGHT) -> Scan:
    """A box of 6 x 3 x 8 m, each pixel coloured by its direction, in twice the labels' size."""
    directions = erp_directions(height, 2 * height)
    depth = box(directions)[0].astype(np.float32)
    image = np.rint(127.5 * (erp_directions(2 * height, 4 * height) + 1)).astype(np.uint8)
    return Scan("room", {"depth": depth, "depth_valid": np.ones(depth.shape, bool)}, image)


def test_the_ply_is_a_closed_surface_with_its_colours():
    data, counts = FORMATS["mesh.ply"]([room()])
    mesh = trimesh.load(io.BytesIO(data), file_type="ply", process=False)
    assert mesh.is_watertight
    assert mesh.euler_number == 2
    assert -mesh.volume == pytest.approx(144, rel=0.02)
    assert counts == {"triangles": len(mesh.faces)}
    towards = mesh.vertices / np.linalg.norm(mesh.vertices, axis=1, keepdims=True)
    coloured = np.asarray(mesh.visual.vertex_colors)[:, :3] / 127.5 - 1
    np.testing.assert_allclose(coloured, towards, atol=0.03)


def test_the_glb_is_textured_and_closes_when_its_seam_is_welded():
    known = room()
    data, counts = FORMATS["mesh.glb"]([known])
    scene = trimesh.load(io.BytesIO(data), file_type="glb", process=False)
    (mesh,) = scene.geometry.values()
    assert counts == {"triangles": len(mesh.faces)}
    picture = np.asarray(mesh.visual.material.baseColorTexture.convert("RGB"), np.float64)
    assert picture.shape == known.image.shape
    u, v = mesh.visual.uv[:, 0], 1 - mesh.visual.uv[:, 1]  # trimesh turns v over
    height, width = picture.shape[:2]
    seen = mesh.vertices * (1, -1, -1)
    inner = np.abs(seen[:, 1]) < 0.999 * np.linalg.norm(seen, axis=1)  # longitude is nothing at the poles
    column, row = directions_to_erp(seen[inner], height, width)
    apart = np.abs(column / width - u[inner]) % 1
    assert np.minimum(apart, 1 - apart).max() < 1e-5
    np.testing.assert_allclose(row / height, v[inner], atol=1e-5)
    at = picture[np.clip((v * height).astype(int), 0, height - 1), (u * width).astype(int) % width] / 127.5 - 1
    np.testing.assert_allclose(at, seen / np.linalg.norm(seen, axis=1, keepdims=True), atol=0.06)
    mesh.merge_vertices(merge_tex=True)
    assert mesh.is_watertight
    assert mesh.euler_number == 2


def test_both_hold_the_same_triangles():
    assert FORMATS["mesh.glb"]([room()])[1] == FORMATS["mesh.ply"]([room()])[1] == {"triangles": 4 * HEIGHT**2}


def test_what_is_torn_everywhere_makes_no_mesh():
    known = room()
    depth = (1 + 8 * (np.indices(known.depth.shape).sum(axis=0) % 2)).astype(np.float32)
    with pytest.raises(ValueError, match="makes no mesh"):
        FORMATS["mesh.ply"]([replace(known, labels={**known.labels, "depth": depth})])


def test_a_wide_picture_is_made_smaller_for_graphics_cards():
    wide = replace(room(), image=np.zeros((8, WIDEST + 16, 3), np.uint8))
    (mesh,) = trimesh.load(io.BytesIO(FORMATS["mesh.glb"]([wide])[0]), file_type="glb").geometry.values()
    assert mesh.visual.material.baseColorTexture.size == (WIDEST, WIDEST // 2)


def test_a_file_too_large_for_its_format_is_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(gltf, "LARGEST", 1000)
    with pytest.raises(ValueError, match="write fewer panoramas at once"):
        FORMATS["glb"]([room()])
