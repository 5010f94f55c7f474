"""The scenes teacher says the truth, and errs as it says it errs."""

import numpy as np
import pytest

from geometry.cameras import Camera
from scenes.render import render_camera
from scenes.teacher import load
from scenes.vocabulary import CLASSES
from scenes.world import build_scene

ITEM = {"item": "room_00001", "scene": "room", "seed": 1, "position": [0.2, -1.5, 0.1], "heading": 0.7}
CAMERAS = [Camera.looking(20, 20, np.radians(90), yaw, 0.1) for yaw in np.linspace(0, 6, 8)]
NONE = np.zeros((8, 20, 20, 3), np.uint8)


def test_without_corruption_it_says_the_truth() -> None:
    said = load({})(NONE, CAMERAS, ITEM)
    scene = build_scene("room", 1)
    for index, camera in enumerate(CAMERAS):
        frame = render_camera(scene, np.array(ITEM["position"]), camera, heading=0.7)
        np.testing.assert_allclose(said["depth"].values[index], frame.depth, rtol=1e-6)
        np.testing.assert_allclose(said["normals"].values[index], frame.normals, atol=1e-6)
        np.testing.assert_array_equal(said["semantics"].values[index, ..., 0], frame.semantics)
        table = said["instances"].tables["segment_class"][index]
        inside = said["instances"].values[index] > 0
        np.testing.assert_array_equal(inside, frame.instances > 0)
        np.testing.assert_array_equal(table[said["instances"].values[index][inside] - 1], frame.semantics[inside])
    assert (said["semantics"].values[..., 0] != said["semantics"].values[..., 1]).all()


def test_a_views_scale_is_one_factor_with_the_stated_spread() -> None:
    cameras = [Camera.looking(4, 4, 1.0, yaw) for yaw in np.linspace(0, 6.2, 150)]
    patches = np.zeros((150, 4, 4, 3), np.uint8)
    true, scaled = (load({"view_scale": scale})(patches, cameras, ITEM)["depth"].values for scale in (0.0, 0.1))
    logs = np.log(scaled / true)
    assert np.ptp(logs, axis=(1, 2)).max() < 1e-5
    assert 0.08 < logs[:, 0, 0].std() < 0.12


def test_a_views_errors_do_not_depend_on_the_batch() -> None:
    teacher = load(
        {"seed": 3, "depth_noise": 0.1, "normal_noise_degrees": 5, "class_confusion": 0.3, "miss_rate": 0.5, "false_rate": 1}
    )
    whole, alone = teacher(NONE, CAMERAS, ITEM), teacher(NONE[:1], CAMERAS[5:6], ITEM)
    for name in ("depth", "normals", "semantics"):
        np.testing.assert_array_equal(whole[name].values[5], alone[name].values[0])
    other = load({**vars(teacher.corruptions), "seed": 4})(NONE, CAMERAS, ITEM)
    assert (other["depth"].values != whole["depth"].values).any()


def test_missed_objects_take_the_class_of_what_is_around() -> None:
    said = load({"miss_rate": 1.0})(NONE, CAMERAS, ITEM)
    assert not said["instances"].values.any()
    labels = {CLASSES[label] for label in np.unique(said["semantics"].values[..., 0])}
    assert not labels & {"table", "chair", "sofa", "bed", "shelf", "lamp", "picture"}


def test_errors_name_the_setting_or_the_need() -> None:
    with pytest.raises(ValueError, match="did you mean 'view_scale'"):
        load({"view_scal": 1})
    with pytest.raises(ValueError, match="panolabel scenes"):
        load({})(NONE[:1], CAMERAS[:1], {"item": "photo"})
