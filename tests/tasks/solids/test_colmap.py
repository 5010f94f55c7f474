"""The COLMAP project as pycolmap reads it, and its depth maps against the points."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pycolmap
import pytest

from geometry.cameras import rotation_from_angles
from tasks.solids.colmap import colmap_project
from tasks.solids.poses import Pose
from tasks.solids.scans import Scan
from tests.tasks.solids.test_meshes import room

POSES = (Pose(), Pose(np.array([1.0, -0.2, 2.0]), np.asarray(rotation_from_angles(0.7, 0.2, 0.1))))


def two_scans() -> list[Scan]:
    return [replace(room(), item=f"a room {number}", pose=pose, most=1500) for number, pose in enumerate(POSES)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("colmap")
    for path, data, _ in colmap_project(two_scans()):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    return folder


@pytest.fixture(scope="module")
def model(folder: Path) -> pycolmap.Reconstruction:
    return pycolmap.Reconstruction(folder / "sparse" / "0")


def test_pycolmap_reads_a_rig_of_six_a_frame_a_panorama_and_the_points(model):
    assert (model.num_cameras(), model.num_rigs(), model.num_frames(), model.num_images()) == (6, 1, 2, 12)
    assert model.num_reg_images() == 12
    assert model.rig(1).num_sensors() == 6
    assert {camera.model.name for camera in model.cameras.values()} == {"PINHOLE"}
    assert 2 * 1300 < model.num_points3D() < 2 * 1700


def test_points_are_seen_where_they_are_projected(model):
    assert model.compute_num_observations() == model.num_points3D()
    model.update_point_3d_errors()
    assert model.compute_mean_reprojection_error() < 1e-3
    assert max(point.error for point in model.points3D.values()) < 0.01


def test_cameras_stand_where_the_panoramas_did_and_the_rig_says_the_same(model):
    for number, pose in enumerate(POSES):
        frame = model.frame(number + 1)
        np.testing.assert_allclose(frame.rig_from_world.rotation.matrix(), pose.rotation.T, atol=1e-9)
        for image in (model.image(data.id) for data in frame.data_ids):
            np.testing.assert_allclose(image.projection_center(), pose.position, atol=1e-9)
            rig_says = model.rig(1).sensor_from_rig(image.camera.sensor_id) if image.camera_id > 1 else pycolmap.Rigid3d()
            stored = (rig_says * frame.rig_from_world).matrix()
            np.testing.assert_allclose(image.cam_from_world().matrix(), stored, atol=1e-9)


def test_pictures_and_depth_maps_agree_with_the_points(folder, model):
    for image in model.images.values():
        picture, depth = (folder / kind / image.name for kind in ("images", "depth"))
        colours = cv2.imread(str(picture))[..., ::-1]
        steps = cv2.imread(str(depth.with_suffix(".png")), cv2.IMREAD_UNCHANGED)
        assert steps.dtype == np.uint16
        assert colours.shape[:2] == steps.shape == (image.camera.height, image.camera.width)
        for point in list(image.points2D)[:50]:
            seen = model.point3D(point.point3D_id)
            column, row = np.minimum(point.xy.astype(int), np.array(steps.shape[::-1]) - 1)
            z = (image.cam_from_world() * seen.xyz)[2]
            assert steps[row, column] / 1000 == pytest.approx(z, rel=0.1)  # the nearest pixel of 2.8 degrees
            np.testing.assert_allclose(colours[row, column], seen.color, atol=16)


def test_what_is_farther_than_a_depth_map_reaches_is_none(tmp_path: Path):
    far = replace(room(), labels={**room().labels, "depth": room().depth * 20})
    files = {path: data for path, data, _ in colmap_project([far])}
    steps = cv2.imdecode(np.frombuffer(files["depth/room_front.png"], np.uint8), cv2.IMREAD_UNCHANGED)
    assert (steps == 0).any()
    assert steps.max() <= 65535
    assert (steps[steps > 0] / 1000).max() < 65.536


def test_a_face_that_sees_nothing_is_a_picture_without_points(tmp_path: Path):
    valid = room().labels["depth_valid"].copy()
    valid[:20] = False
    sky = replace(room(), labels={**room().labels, "depth_valid": valid})
    (tmp_path / "model").mkdir()
    for path, data, _ in colmap_project([sky]):
        if path.endswith(".txt"):
            (tmp_path / "model" / Path(path).name).write_bytes(data)
    model = pycolmap.Reconstruction(tmp_path / "model")
    seen = {image.name: image.num_points3D for image in model.images.values()}
    assert seen["room_up.jpg"] == 0
    assert sum(seen.values()) == model.num_points3D() == valid.sum()
