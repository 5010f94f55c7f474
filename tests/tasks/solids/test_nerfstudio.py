"""transforms.json by its documented meaning: OpenGL cameras, camera -> world, depth maps and points that lie on the walls."""

import io
import json

import cv2
import numpy as np
import pytest
import trimesh

from tasks.solids.nerfstudio import nerfstudio_data
from tasks.solids.point_clouds import point_cloud
from tests.tasks.solids.test_colmap import POSES, two_scans

Z_UP = np.array([[1, 0, 0], [0, 0, 1], [0, -1, 0]])


@pytest.fixture(scope="module")
def files() -> dict[str, bytes]:
    return {path: data for path, data, _ in nerfstudio_data(two_scans())}


@pytest.fixture(scope="module")
def about(files) -> dict:
    return json.loads(files["transforms.json"])


def test_every_file_that_is_named_is_there(files, about):
    assert len(about["frames"]) == 12
    named = [frame[key] for frame in about["frames"] for key in ("file_path", "depth_file_path")] + [about["ply_file_path"]]
    assert {*named, "transforms.json"} == set(files)
    assert about["depth_unit_scale_factor"] == 0.001


def test_rotations_are_rotations_and_come_back_exactly(about):
    for number, frame in enumerate(about["frames"]):
        matrix, pose = np.array(frame["transform_matrix"]), POSES[number // 6]
        np.testing.assert_allclose(matrix[:3, :3] @ matrix[:3, :3].T, np.eye(3), atol=1e-12)
        assert np.linalg.det(matrix) == pytest.approx(1)
        np.testing.assert_allclose(Z_UP.T @ matrix[:3, 3], pose.position, atol=1e-12)
    front = np.array(about["frames"][0]["transform_matrix"])[:3, :3]
    np.testing.assert_allclose(front @ [0, 0, -1], [0, 1, 0], atol=1e-9)  # looks forward
    np.testing.assert_allclose(front @ [0, 1, 0], [0, 0, 1], atol=1e-9)  # and up is up


def test_depth_maps_unproject_onto_the_walls(files, about):
    walls = np.array([[-3.3, -4.5, -1.7], [2.7, 3.5, 1.3]])  # of test_auxiliaries.box, z up
    for frame in about["frames"][:6]:  # the first stands upright in its box
        z = cv2.imdecode(np.frombuffer(files[frame["depth_file_path"]], np.uint8), cv2.IMREAD_UNCHANGED) / 1000
        row, column = np.indices(z.shape) + 0.5
        camera = np.stack([(column - about["cx"]) / about["fl_x"] * z, -(row - about["cy"]) / about["fl_y"] * z, -z], axis=-1)
        matrix = np.array(frame["transform_matrix"])
        points = camera.reshape(-1, 3) @ matrix[:3, :3].T + matrix[:3, 3]
        away = np.abs(points[:, None] - walls).min(axis=(1, 2))
        assert np.percentile(away, 95) < 0.15
        assert (points > walls[0] - 0.4).all()
        assert (points < walls[1] + 0.4).all()


def test_the_points_to_begin_with_lie_on_the_walls(files):
    """Of the first panorama: the second stands elsewhere, tilted."""
    points = np.asarray(trimesh.load(io.BytesIO(files["points.ply"]), file_type="ply").vertices)
    walls = np.array([[-3.3, -4.5, -1.7], [2.7, 3.5, 1.3]])
    own = points[: len(point_cloud(two_scans()[0]).points)]
    assert np.abs(own[:, None] - walls).min(axis=(1, 2)).max() < 1e-5
