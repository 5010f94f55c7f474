"""Where a panorama stood, by its metadata."""

import numpy as np
import pytest

from tasks.solids.poses import FARTHEST, Z_UP, pose_of


def test_a_heading_turns_to_the_right_in_radians_or_degrees():
    for said in ({"heading": np.pi / 2}, {"pose_heading_degrees": 90.0}, {"rotation": [0, 0, 1, 0, 1, 0, -1, 0, 0]}):
        pose = pose_of({"position": [1, 2, 3], **said})
        assert pose is not None
        np.testing.assert_allclose(pose.placed(np.array([[0, 0, 2.0]], np.float32)), [[3, 2, 3]], atol=1e-6)  # forward, now right
        np.testing.assert_allclose(pose.turned(np.array([[0, 1.0, 0]], np.float32)), [[0, 1, 0]], atol=1e-6)


def test_the_heading_goes_before_that_of_the_camera():
    pose = pose_of({"position": [0, 0, 0], "heading": 0.0, "pose_heading_degrees": 90.0})
    assert pose is not None
    np.testing.assert_array_equal(pose.rotation, np.eye(3))


def test_without_a_position_there_is_no_pose():
    assert pose_of({"heading": 1.0}) is None
    assert pose_of({"position": None}) is None


@pytest.mark.parametrize(
    "said",
    [
        {"position": [1, 2]}, {"position": "here"}, {"position": [1, 2, np.nan]}, {"position": [0, 0, 0], "heading": "north"},
        {"position": [0, 0, 0], "rotation": [1, 0, 0, 0, 1, 0, 0, 0, -1]}, {"position": [0, 0, 0], "heading": np.nan},
    ],
)  # fmt: skip
def test_what_is_no_pose_is_refused(said):
    with pytest.raises(ValueError, match="position of three numbers in metres"):
        pose_of(said)


def test_z_up_is_a_rotation():
    assert np.linalg.det(Z_UP) == 1
    np.testing.assert_array_equal(Z_UP @ [0, -1, 0], [0, 0, 1])


def test_positions_of_maps_are_refused_where_points_would_lose_millimetres():
    with pytest.raises(ValueError, match="more than 10 km from zero: take the same numbers off all positions"):
        pose_of({"position": [447_000.0, 35.0, 5_411_000.0]})
    assert pose_of({"position": [9_000.0, 35.0, 8_000.0]}) is not None
    assert np.spacing(np.float32(FARTHEST)) < 1.1e-3
