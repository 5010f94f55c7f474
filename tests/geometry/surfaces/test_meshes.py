"""Meshes against closed forms: a box room closes, with its volume; what is torn or not known stays open."""

import numpy as np
import pytest
import trimesh

from geometry.directions import erp_directions
from geometry.surfaces.meshes import Mesh, panorama_mesh
from tests.geometry.surfaces.test_auxiliaries import box


def solid(mesh: Mesh) -> trimesh.Trimesh:
    points, _, triangles = mesh.welded()
    return trimesh.Trimesh(points, triangles, process=False)


def of(depth: np.ndarray, valid: np.ndarray | None = None, **options: float) -> Mesh:
    return panorama_mesh(depth.astype(np.float32), np.ones(depth.shape, bool) if valid is None else valid, **options)


@pytest.mark.parametrize(("height", "off"), [(64, 0.02), (256, 0.005)])
def test_a_room_closes_over_seam_and_poles_with_its_volume(height, off):
    room = solid(of(box(erp_directions(height, 2 * height))[0]))
    assert room.euler_number == 2
    assert room.is_watertight
    assert room.is_winding_consistent
    assert len(room.vertices) == 2 * height * height + 2
    assert len(room.faces) == 2 * 2 * height * height
    assert -room.volume == pytest.approx(144, rel=off)  # 6 x 3 x 8 m; negative, since its inside is its face


def test_poles_lie_on_the_planes_of_floor_and_ceiling():
    depth, _ = box(erp_directions(64, 128))
    points, numbers, _ = of(depth).welded()
    np.testing.assert_array_equal(numbers[-2:], [64 * 128, 64 * 128 + 1])
    np.testing.assert_allclose(points[-2:], [[0, -1.3, 0], [0, 1.7, 0]], atol=1e-5)


def test_every_triangle_faces_the_camera():
    mesh = of(box(erp_directions(32, 64))[0])
    a, b, c = (mesh.corners[mesh.triangles[:, n]] for n in range(3))
    assert (np.einsum("nc,nc->n", np.cross(b - a, c - a), a) < 0).all()


def test_places_are_where_the_corners_are_seen():
    height, width = 32, 64
    mesh = of(box(erp_directions(height, width))[0])
    longitude, latitude = (mesh.places[:, 0] - 0.5) * 2 * np.pi, (0.5 - mesh.places[:, 1]) * np.pi
    seen = np.stack([np.cos(latitude) * np.sin(longitude), -np.sin(latitude), np.cos(latitude) * np.cos(longitude)], axis=-1)
    np.testing.assert_allclose(mesh.corners / np.linalg.norm(mesh.corners, axis=-1, keepdims=True), seen, atol=1e-5)
    across = np.ptp(mesh.places[mesh.triangles][..., 0], axis=1)
    assert across.max() <= 1 / width + 1e-6, "no triangle runs back over the whole picture"


def test_what_stands_before_a_wall_is_a_surface_of_its_own():
    depth = np.full((64, 128), 3.0)
    depth[20:30, 50:60] = 2
    pieces = solid(of(depth)).split(only_watertight=False)
    assert sorted(len(piece.vertices) for piece in pieces) == [100, 64 * 128 - 100 + 2]
    assert solid(of(depth, max_incidence=np.pi / 2)).is_watertight


def test_what_is_not_valid_is_a_hole_and_an_open_pole():
    depth = np.full((32, 64), 3.0)
    valid = np.ones(depth.shape, bool)
    valid[28:] = False
    mesh = solid(of(np.where(valid, depth, np.nan), valid))
    assert mesh.euler_number == 1
    assert len(mesh.outline().entities) == 1
    assert len(mesh.vertices) == 28 * 64 + 1


def test_no_distances_make_an_empty_mesh():
    mesh = of(np.zeros((8, 16)), np.zeros((8, 16), bool))
    assert mesh.corners.shape == (0, 3)
    assert mesh.triangles.shape == (0, 3)
