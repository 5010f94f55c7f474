"""Point clouds as another library reads them: every point lies in the direction of its pixel, with its colour."""

import io

import numpy as np
import pytest
import trimesh

from geometry.directions import erp_directions
from tasks.solids.point_clouds import encode, point_cloud

SIZE = (8, 16)


def labels(seed: int = 0) -> tuple[dict[str, np.ndarray], np.ndarray]:
    generator = np.random.default_rng(seed)
    valid = generator.random(SIZE) < 0.8
    depth = np.where(valid, generator.uniform(1, 9, SIZE), 0).astype(np.float32)
    normals = -erp_directions(*SIZE, np.float32)
    image = generator.integers(0, 256, (*SIZE, 3), dtype=np.uint8)
    return {"depth": depth, "depth_valid": valid, "normals": normals, "normals_valid": valid}, image


def test_tears_make_no_points_unless_all_are_asked_for():
    """A square of 2 m before a wall of 3 m: neither the rim of the square nor what it stands before."""
    depth = np.full((64, 128), 3, np.float32)
    depth[20:30, 50:60] = 2
    known = {"depth": depth, "depth_valid": np.ones(depth.shape, bool)}
    image = np.zeros((*depth.shape, 3), np.uint8)
    points = point_cloud(known, image).points
    assert len(points) == 64 * 128 - (12 * 12 - 8 * 8 - 4)  # of the outer ring, corners have no neighbour in the square
    assert len(point_cloud(known, image, np.pi / 2).points) == 64 * 128
    with pytest.raises(ValueError, match="--max-incidence 90 writes them"):
        point_cloud({**known, "depth": 1 + 8 * (np.indices(depth.shape).sum(axis=0) % 2)}, image)


@pytest.mark.parametrize(("to", "frame"), [("ply", (1, 1, 1)), ("glb", (1, -1, -1))])
def test_trimesh_reads_what_is_written(to, frame):
    known, image = labels()
    kept = known["depth_valid"]
    scene = trimesh.load(io.BytesIO(encode(point_cloud(known, image, np.pi / 2), to)), file_type=to)
    read = scene if isinstance(scene, trimesh.PointCloud) else next(iter(scene.geometry.values()))
    expected = (erp_directions(*SIZE) * known["depth"][..., None])[kept] * frame
    np.testing.assert_allclose(read.vertices, expected, atol=1e-5)
    np.testing.assert_array_equal(np.asarray(read.colors)[:, :3], image[kept])


def test_the_ply_has_normals():
    known, image = labels()
    head, body = encode(point_cloud(known, image, np.pi / 2), "ply").split(b"end_header\n", 1)
    assert b"property float nx" in head
    rows = np.frombuffer(body, np.dtype([("xyz", "<f4", 3), ("normal", "<f4", 3), ("rgb", "u1", 3)]))
    np.testing.assert_array_equal(rows["normal"], known["normals"][known["depth_valid"]])


def test_labels_without_distances_make_no_points():
    known, image = labels()
    with pytest.raises(ValueError, match="no distances"):
        point_cloud({**known, "depth_valid": np.zeros(SIZE, bool)}, image)
    with pytest.raises(ValueError, match="ply or glb, not as 'obj'"):
        encode(point_cloud(known, image), "obj")
