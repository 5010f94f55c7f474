"""The Gaussians, read by their names as the first code of 3DGS reads them (``load_ply`` of its ``gaussian_model.py``)."""

import io
from dataclasses import replace

import numpy as np
import trimesh
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from geometry.directions import erp_directions
from tasks.solids.formats import FORMATS
from tasks.solids.point_clouds import point_cloud
from tasks.solids.scans import Scan
from tests.geometry.surfaces.test_auxiliaries import box

NAMES = [*"xyz", "nx", "ny", "nz", "f_dc_0", "f_dc_1", "f_dc_2", "opacity"]
NAMES += [f"scale_{number}" for number in range(3)] + [f"rot_{number}" for number in range(4)]


def room(height: int = 64) -> Scan:
    directions = erp_directions(height, 2 * height)
    depth, normals = box(directions)
    everywhere = np.ones(depth.shape, bool)
    image = np.random.default_rng(0).integers(0, 256, (*depth.shape, 3), dtype=np.uint8)
    labels = {"depth": depth.astype(np.float32), "depth_valid": everywhere}
    return Scan("room", {**labels, "normals": normals.astype(np.float32), "normals_valid": everywhere}, image)


def read(data: bytes) -> dict[str, np.ndarray]:
    raw = trimesh.load(io.BytesIO(data), file_type="ply").metadata["_ply_raw"]["vertex"]
    assert list(raw["properties"]) == NAMES
    return {name: np.asarray(raw["data"][name]).ravel() for name in NAMES}


def columns(rows: dict[str, np.ndarray], *names: str) -> np.ndarray:
    return np.stack([rows[name] for name in names], axis=-1)


def test_the_gaussians_lie_flat_on_the_surface_in_its_colours():
    known = room()
    rows = read(FORMATS["splat.ply"]([known])[0])
    cloud = point_cloud(known)
    np.testing.assert_array_equal(columns(rows, "x", "y", "z"), cloud.points)
    colours = 0.5 + 0.28209479177387814 * columns(rows, "f_dc_0", "f_dc_1", "f_dc_2")
    np.testing.assert_allclose(colours * 255, cloud.colours, atol=1e-3)
    np.testing.assert_allclose(1 / (1 + np.exp(-rows["opacity"])), 0.9, rtol=1e-6)
    turns = Rotation.from_quat(columns(rows, "rot_0", "rot_1", "rot_2", "rot_3"), scalar_first=True)
    np.testing.assert_allclose(turns.apply([0, 0, 1]), cloud.normals, atol=1e-5)
    scales = np.exp(columns(rows, "scale_0", "scale_1", "scale_2"))
    np.testing.assert_allclose(scales[:, 2], 0.1 * scales[:, 0], rtol=1e-5)


def test_they_are_about_as_wide_as_the_next_point_is_far_however_many_are_drawn():
    for known in (room(), replace(room(), most=800)):
        rows = read(FORMATS["splat.ply"]([known])[0])
        points = columns(rows, "x", "y", "z")
        away = cKDTree(points).query(points, k=5)[0][:, 1:].mean(axis=1)
        assert 0.5 < np.median(np.exp(rows["scale_0"]) / away) < 2


def test_points_are_drawn_evenly_and_the_same_ones_again():
    known = replace(room(128), most=2000)
    points = point_cloud(known).points
    assert abs(len(points) - 2000) < 200
    upper = np.abs(points[:, 1]) > np.sin(np.pi / 4) * np.linalg.norm(points, axis=-1)
    assert abs(upper.mean() - (1 - np.sin(np.pi / 4))) < 0.05  # share of the sphere beyond 45 degrees
    np.testing.assert_array_equal(points, point_cloud(known).points)
    assert len(point_cloud(replace(known, item="other")).points) != len(points)


def test_without_normals_they_are_balls():
    labels = {name: array for name, array in room().labels.items() if not name.startswith("normals")}
    rows = read(FORMATS["splat.ply"]([replace(room(), labels=labels)])[0])
    np.testing.assert_array_equal(rows["scale_2"], rows["scale_0"])
    np.testing.assert_array_equal(columns(rows, "rot_0", "rot_1", "rot_2", "rot_3"), [[1, 0, 0, 0]] * len(rows["x"]))
