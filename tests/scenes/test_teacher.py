"""The scenes teacher says the truth, and errs as it says it errs."""

import numpy as np
import pytest

from geometry.cameras import Camera
from geometry.fields import CannotLabel
from scenes.build import build_scene
from scenes.render import render_camera
from scenes.teacher import load
from scenes.vocabulary import CLASSES, THINGS

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


def test_a_missed_object_takes_a_class_that_touches_it() -> None:
    item = {**ITEM, "item": "street_00001", "scene": "street", "position": build_scene("street", 1).spots[0].tolist()}
    teachers = load({}), load({"miss_rate": 1.0})
    true, missed = (teacher(NONE, CAMERAS, item) for teacher in teachers)
    checked = 0
    for patch, segments in enumerate(true["instances"].values):
        labels = np.pad(true["semantics"].values[patch, ..., 0], 1, mode="edge")
        said = missed["semantics"].values[patch, ..., 0]
        for segment in np.unique(segments[segments > 0]):
            rows, columns = np.nonzero(segments == segment)
            near = {int(label) for r, c in zip(rows, columns) for label in labels[r : r + 3, c : c + 3].ravel()} - THINGS
            if near:
                assert set(said[rows, columns].tolist()) <= near
                checked += 1
    assert checked > 10


def test_a_confused_class_changes_whole_and_keeps_the_truth_second() -> None:
    true = load({})(NONE, CAMERAS, ITEM)["semantics"].values[..., 0]
    for rate in (0.5, 1.0):
        said = load({"class_confusion": rate})(NONE, CAMERAS, ITEM)["semantics"]
        wrong = said.values[..., 0] != true
        np.testing.assert_array_equal(said.values[..., 1][wrong], true[wrong])
        pairs = [(view, label) for view in range(len(true)) for label in np.unique(true[view])]
        for view, label in pairs:
            assert len(np.unique(said.values[view, ..., 0][true[view] == label])) == 1
        share = np.mean([wrong[view][true[view] == label][0] for view, label in pairs])
        assert abs(share - rate) <= 0.2
    np.testing.assert_allclose(said.confidence[0, 0, 0], [0.9, 0.1], atol=1e-6)


def test_a_false_object_is_a_blob_of_a_thing() -> None:
    true, said = (load({"false_rate": rate})(NONE, CAMERAS, ITEM) for rate in (0.0, 1.0))
    for view in range(len(CAMERAS)):
        numbers = said["instances"].values[view]
        known = true["instances"].values[view]
        blob = (numbers == numbers.max()) & (numbers > 0)
        assert 3 < blob.sum() < 0.2 * blob.size
        assert not (numbers[~blob] > 0)[known[~blob] == 0].any()
        label = said["instances"].tables["segment_class"][view, numbers.max() - 1]
        assert label in THINGS
        np.testing.assert_array_equal(said["semantics"].values[view, ..., 0][blob], label)


def test_shift_and_noise_have_the_stated_spread() -> None:
    cameras = [Camera.looking(6, 6, 1.0, yaw) for yaw in np.linspace(0, 6.2, 150)]
    patches = np.zeros((150, 6, 6, 3), np.uint8)
    true = load({})(patches, cameras, ITEM)
    shifted = load({"view_shift": 0.05})(patches, cameras, ITEM)["depth"].values - true["depth"].values
    assert np.ptp(shifted, axis=(1, 2)).max() < 1e-5
    assert 0.04 < shifted[:, 0, 0].std() < 0.06
    noisy = load({"depth_noise": 0.02, "normal_noise_degrees": 3})(patches, cameras, ITEM)
    assert 0.019 < np.log(noisy["depth"].values / true["depth"].values).std() < 0.021
    np.testing.assert_allclose(np.linalg.norm(noisy["normals"].values, axis=-1), 1, atol=1e-6)
    # Two tangent components of 3 degrees each: the tilt's mean square is twice theirs.
    tilt = np.degrees(np.arccos(np.clip((noisy["normals"].values * true["normals"].values).sum(-1), -1, 1)))
    assert abs(np.sqrt((tilt**2).mean() / 2) - 3) < 0.15


def test_the_sky_has_no_depth() -> None:
    item = {**ITEM, "scene": "street", "position": build_scene("street", 1).spots[0].tolist()}
    said = load({"view_shift": 0.1})(NONE, CAMERAS, item)
    sky = said["sky"].values > 0.5
    assert 0.05 < sky.mean() < 0.95
    for name in ("depth", "normals"):
        np.testing.assert_array_equal(said[name].valid, ~sky)


def test_errors_name_the_setting_or_the_need() -> None:
    with pytest.raises(ValueError, match="did you mean 'view_scale'"):
        load({"view_scal": 1})
    with pytest.raises(ValueError, match="panolabel scenes"):
        load({})(NONE[:1], CAMERAS[:1], {"item": "photo"})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"miss_rate": 1.5}, "miss_rate: must lie between 0 and 1, got 1.5"),
        ({"view_scale": -0.1}, "view_scale: must lie between 0 and inf"),
        ({"seed": 0.5}, "seed: must be a whole number"),
        ({"depth_noise": "much"}, "depth_noise: must be a number"),
    ],
)
def test_settings_out_of_range_are_named(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        load(settings)


def test_a_panorama_that_does_not_say_its_scene_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="item 'a' does not say its position, heading"):
        load({})(np.zeros((1, 4, 4, 3), np.uint8), [Camera.looking(4, 4, 1.5, 0, 0)], {"item": "a", "scene": "room", "seed": 1})


@pytest.mark.parametrize(
    "wrong", [{"seed": "one"}, {"seed": None}, {"position": [0, 1]}, {"heading": "north"}, {"position": None}]
)
def test_a_panorama_that_does_not_say_its_scene_is_given_up_by_name(wrong: dict[str, object]) -> None:
    with pytest.raises(CannotLabel, match="room_00001"):
        load({})(NONE, CAMERAS, {**ITEM, **wrong})
    missing = {name: value for name, value in ITEM.items() if name not in wrong}
    with pytest.raises(CannotLabel, match=f"room_00001.*{next(iter(wrong))}"):
        load({})(NONE, CAMERAS, missing)
