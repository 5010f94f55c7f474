"""Point clouds as another library reads them: every point lies in the direction of its pixel, with its colour."""

import io

import numpy as np
import pytest
import trimesh

from geometry.directions import erp_directions
from tasks.pages.point_clouds import encode, point_cloud

SIZE = (8, 16)


def labels(seed: int = 0) -> tuple[dict[str, np.ndarray], np.ndarray]:
    generator = np.random.default_rng(seed)
    valid = generator.random(SIZE) < 0.8
    depth = np.where(valid, generator.uniform(1, 9, SIZE), 0).astype(np.float32)
    normals = -erp_directions(*SIZE, np.float32)
    image = generator.integers(0, 256, (*SIZE, 3), dtype=np.uint8)
    return {"depth": depth, "depth_valid": valid, "normals": normals, "normals_valid": valid}, image


@pytest.mark.parametrize(("to", "frame"), [("ply", (1, 1, 1)), ("glb", (1, -1, -1))])
def test_trimesh_reads_what_is_written(to, frame):
    known, image = labels()
    kept = known["depth_valid"]
    scene = trimesh.load(io.BytesIO(encode(point_cloud(known, image), to)), file_type=to)
    read = scene if isinstance(scene, trimesh.PointCloud) else next(iter(scene.geometry.values()))
    expected = (erp_directions(*SIZE) * known["depth"][..., None])[kept] * frame
    np.testing.assert_allclose(read.vertices, expected, atol=1e-5)
    np.testing.assert_array_equal(np.asarray(read.colors)[:, :3], image[kept])


def test_the_ply_has_normals():
    known, image = labels()
    head, body = encode(point_cloud(known, image), "ply").split(b"end_header\n", 1)
    assert b"property float nx" in head
    rows = np.frombuffer(body, np.dtype([("xyz", "<f4", 3), ("normal", "<f4", 3), ("rgb", "u1", 3)]))
    np.testing.assert_array_equal(rows["normal"], known["normals"][known["depth_valid"]])


def test_labels_without_distances_make_no_points():
    known, image = labels()
    with pytest.raises(ValueError, match="no distances"):
        point_cloud({**known, "depth_valid": np.zeros(SIZE, bool)}, image)
    with pytest.raises(ValueError, match="ply or glb, not as 'obj'"):
        encode(point_cloud(known, image), "obj")
