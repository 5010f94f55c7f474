"""Scenes have room for a camera, solids of the size that was asked for, and what a camera sees does not depend on its kind."""

import numpy as np
import pytest

from geometry.cameras import Camera
from geometry.directions import erp_angles
from scenes.build import build_scene
from scenes.render import render_camera, render_erp
from scenes.textures import Material
from scenes.vocabulary import CLASSES, THINGS, palette
from scenes.world import Builder

KINDS = ("room", "street")
GREY = Material("solid", (0.5, 0.5, 0.5))
EMPTY = {"lights": (), "ambient": (1.0, 1.0, 1.0), "exposure": 1.0, "spots": np.zeros((1, 3)), "kind": "test", "seed": 0}


@pytest.mark.parametrize("kind", KINDS)
def test_cameras_stand_clear_of_all_surfaces(kind: str) -> None:
    for seed in range(6):
        scene, generator = build_scene(kind, seed), np.random.default_rng(seed)
        position = scene.free_position(generator)
        frame = render_erp(scene, position, 48, 96)
        assert frame.depth[~frame.sky].min() > 0.15
        assert not frame.sky[24:].any(), "there is ground wherever one looks down"
        assert kind == "street" or not frame.sky.any(), "a room is closed"


@pytest.mark.parametrize("kind", KINDS)
def test_the_panorama_agrees_with_a_camera_aimed_at_each_pixel(kind: str) -> None:
    scene = build_scene(kind, 6)
    position, heading = scene.free_position(np.random.default_rng(2)), 1.1
    longitude, latitude = erp_angles(16, 32)
    frame = render_erp(scene, position, 16, 32, heading=heading)
    pixels = [(row, column) for row in range(0, 16, 3) for column in range(0, 32, 3)]
    views = [
        render_camera(scene, position, Camera.looking(1, 1, 0.1, longitude[column], latitude[row]), heading=heading)
        for row, column in pixels
    ]
    rows, columns = np.transpose(pixels)
    depth = np.array([view.depth[0, 0] for view in views])
    close = np.isclose(depth, frame.depth[rows, columns], rtol=1e-4)
    same = np.array([view.semantics[0, 0] for view in views]) == frame.semantics[rows, columns]
    # One ray may graze an edge and be rounded to its other side.
    assert close.sum() >= len(pixels) - 1
    assert same.sum() >= len(pixels) - 1


def test_instances_are_objects_of_one_thing_class() -> None:
    for kind in KINDS:
        scene = build_scene(kind, 1)
        assert (np.isin(scene.classes, list(THINGS)) == (scene.instances > 0)).all()
        for instance in np.unique(scene.instances[scene.instances > 0]):
            assert len(np.unique(scene.classes[scene.instances == instance])) == 1


@pytest.mark.parametrize("shape", ["box", "cylinder", "ball", "cone"])
def test_a_solid_has_its_size_and_stands_on_its_base(shape: str) -> None:
    builder = Builder()
    builder.add(shape, "wall", GREY, (3, -2), (0.8, 1.5, 0.8), base=0.25)
    corners = builder.scene(**EMPTY).triangles.reshape(-1, 3)
    np.testing.assert_allclose([corners[:, 1].min(), corners[:, 1].max()], [-1.75, -0.25], atol=1e-9)
    np.testing.assert_allclose(np.ptp(corners[:, [0, 2]], axis=0), 0.8, rtol=0.03)
    np.testing.assert_allclose(corners[:, [0, 2]].mean(0), [3, -2], atol=0.1)


def test_a_yaw_turns_an_objects_front_from_z_to_x() -> None:
    builder = Builder()
    builder.add("box", "wall", GREY, (1, 1), (0.2, 1, 0.2), yaw=np.pi / 2, offset=(0, 2))
    centre = builder.scene(**EMPTY).triangles.reshape(-1, 3).mean(0)
    np.testing.assert_allclose(centre[[0, 2]], [3, 1], atol=1e-9)


def test_stuff_has_no_instance_and_instances_count_up() -> None:
    builder = Builder()
    assert [builder.instance() for _ in range(3)] == [1, 2, 3]
    builder.add("box", "wall", GREY, (0, 0), (1, 1, 1), instance=1)
    builder.add("box", "car", GREY, (2, 0), (1, 1, 1), instance=2)
    scene = builder.scene(**EMPTY)
    assert scene.instances.tolist() == [0] * 12 + [2] * 12
    assert len(scene.materials) == 1


def test_the_palette_tells_all_classes_apart() -> None:
    assert len({tuple(colour) for colour in palette().tolist()}) == len(CLASSES)
