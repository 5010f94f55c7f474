"""Point clouds as another library reads them: every point lies in the direction of its pixel, with its colour."""

import io

import numpy as np
import pytest
import trimesh

from geometry.directions import erp_directions
from tasks.solids.formats import FORMATS
from tasks.solids.point_clouds import point_cloud
from tasks.solids.scans import Scan

SIZE = (8, 16)


def scan(seed: int = 0) -> Scan:
    """Random distances, which only a right angle joins."""
    generator = np.random.default_rng(seed)
    valid = generator.random(SIZE) < 0.8
    depth = np.where(valid, generator.uniform(1, 9, SIZE), 0).astype(np.float32)
    labels = {"depth": depth, "depth_valid": valid, "normals": -erp_directions(*SIZE, np.float32), "normals_valid": valid}
    return Scan("a", labels, generator.integers(0, 256, (*SIZE, 3), dtype=np.uint8), np.pi / 2)


def test_tears_make_no_points_unless_all_are_asked_for():
    """A square of 2 m before a wall of 3 m: neither the rim of the square nor what it stands before."""
    depth = np.full((64, 128), 3, np.float32)
    depth[20:30, 50:60] = 2
    known = {"depth": depth, "depth_valid": np.ones(depth.shape, bool)}
    image = np.zeros((*depth.shape, 3), np.uint8)
    points = point_cloud(Scan("a", known, image)).points
    assert len(points) == 64 * 128 - (12 * 12 - 8 * 8 - 4)  # of the outer ring, corners have no neighbour in the square
    assert len(point_cloud(Scan("a", known, image, np.pi / 2)).points) == 64 * 128
    chequered = {**known, "depth": 1 + 8 * (np.indices(depth.shape).sum(axis=0) % 2)}
    with pytest.raises(ValueError, match="--max-incidence 90 takes them"):
        point_cloud(Scan("a", chequered, image))


@pytest.mark.parametrize(("to", "frame"), [("ply", (1, 1, 1)), ("glb", (1, -1, -1))])
def test_trimesh_reads_what_is_written(to, frame):
    known = scan()
    kept = known.labels["depth_valid"]
    data, counts = FORMATS[to]([known])
    scene = trimesh.load(io.BytesIO(data), file_type=to)
    read = scene if isinstance(scene, trimesh.PointCloud) else next(iter(scene.geometry.values()))
    expected = (erp_directions(*SIZE) * known.depth[..., None])[kept] * frame
    np.testing.assert_allclose(read.vertices, expected, atol=1e-5)
    np.testing.assert_array_equal(np.asarray(read.colors)[:, :3], known.image[kept])
    assert counts == {"points": kept.sum()}


def test_the_ply_has_normals():
    known = scan()
    head, body = FORMATS["ply"]([known])[0].split(b"end_header\n", 1)
    assert b"property float nx" in head
    rows = np.frombuffer(body, np.dtype([("xyz", "<f4", 3), ("normal", "<f4", 3), ("rgb", "u1", 3)]))
    np.testing.assert_array_equal(rows["normal"], known.labels["normals"][known.labels["depth_valid"]])


@pytest.mark.parametrize("to", FORMATS)
def test_labels_without_distances_make_nothing(to):
    known = scan()
    none = {**known.labels, "depth_valid": np.zeros(SIZE, bool)}
    for labels in (none, {name: array for name, array in none.items() if not name.startswith("depth")}):
        with pytest.raises(ValueError, match="no distances"):
            FORMATS[to]([Scan("a", labels, known.image)])
