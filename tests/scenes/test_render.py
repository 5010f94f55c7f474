"""The procedural world is exact, agrees with itself from any camera, and is the same for the same seed."""

import numpy as np
import pytest

from geometry.cameras import Camera
from geometry.directions import erp_directions
from scenes.amodal import amodal_masks, decode_run_lengths, run_lengths
from scenes.build import build_scene
from scenes.render import render, render_camera, render_erp
from scenes.textures import Material
from scenes.vocabulary import CLASSES, ID, THINGS
from scenes.world import Builder, Scene

KINDS = ("room", "street")
HALF = np.array([2.0, 1.25, 3.0])


def box_room(with_object: bool = False) -> Scene:
    """A closed box of 4 x 2.5 x 6 m around the origin of x and z; the ground is at y = 0."""
    builder, grey = Builder(), Material("solid", (0.5, 0.5, 0.5))
    builder.add("box", "floor", grey, (0, 0), (4, 1, 6), base=-1)
    builder.add("box", "ceiling", grey, (0, 0), (4, 1, 6), base=2.5)
    for side in (-1, 1):
        builder.add("box", "wall", grey, (side * 2.5, 0), (1, 2.5, 8))
        builder.add("box", "wall", grey, (0, side * 3.5), (6, 2.5, 1))
    if with_object:
        builder.add("box", "table", grey, (0, 1.0), (0.6, 1.6, 0.2), base=0.5, instance=builder.instance())
        builder.add("box", "sofa", grey, (0, 2.0), (1.0, 1.5, 0.4), base=0.5, instance=builder.instance())
    rest = {"lights": (), "ambient": (1.0, 1.0, 1.0), "exposure": 1.0, "spots": np.array([(0.0, -1.25, 0.0)])}
    return builder.scene(kind="box", seed=0, **rest)


def test_a_box_room_has_its_closed_form() -> None:
    directions = erp_directions(32, 64)
    frame = render_erp(box_room(), np.array([0.0, -1.25, 0.0]), 32, 64)
    reach = HALF / np.abs(directions)
    axis, distance = reach.argmin(-1), reach.min(-1)
    np.testing.assert_allclose(frame.depth, distance, rtol=1e-6)
    expected = np.zeros_like(directions)
    np.put_along_axis(expected, axis[..., None], -np.sign(np.take_along_axis(directions, axis[..., None], -1)), -1)
    clear = np.sort(reach, -1)[..., 1] - distance > 1e-6
    np.testing.assert_allclose(frame.normals[clear], expected[clear], atol=1e-6)
    np.testing.assert_array_equal(frame.semantics[0], ID["ceiling"])
    np.testing.assert_array_equal(frame.semantics[-1], ID["floor"])
    assert not frame.sky.any()


@pytest.mark.parametrize("kind", KINDS)
def test_any_camera_sees_the_same_world(kind: str) -> None:
    scene = build_scene(kind, 3)
    position = scene.free_position(np.random.default_rng(0))
    camera = Camera.looking(24, 24, np.radians(90), yaw=2.5, pitch=-0.4)
    seen = render_camera(scene, position, camera)
    along = render(scene, position, camera.directions())
    for name in ("depth", "normals", "semantics", "instances", "sky", "image"):
        np.testing.assert_array_equal(getattr(seen, name), getattr(along, name))


@pytest.mark.parametrize("kind", KINDS)
def test_truth_is_well_formed(kind: str) -> None:
    scene = build_scene(kind, 5)
    position = scene.free_position(np.random.default_rng(1))
    frame = render_erp(scene, position, 64, 128, supersample=2)
    directions = erp_directions(64, 128)
    solid = ~frame.sky
    np.testing.assert_allclose(np.linalg.norm(frame.normals[solid], axis=-1), 1, atol=1e-5)
    assert ((frame.normals * directions).sum(-1)[solid] <= 1e-6).all()
    assert (frame.depth[solid] > 0.15).all(), "a camera stands clear of all surfaces"
    assert not frame.depth[frame.sky].any()
    assert not frame.semantics[frame.sky].any()
    assert (np.isin(frame.semantics, list(THINGS)) == (frame.instances > 0)).all()
    assert frame.semantics.max() < len(CLASSES)
    assert (kind == "street") == bool(frame.sky.any())
    assert 40 < frame.image.mean() < 215
    assert frame.image.std() > 20, "the picture shows something"


@pytest.mark.parametrize("kind", KINDS)
def test_the_seed_decides_everything(kind: str) -> None:
    position = np.array([0.1, -1.5, 0.1])
    one, same, other = (render_erp(build_scene(kind, seed), position, 24, 48) for seed in (7, 7, 8))
    for name in ("image", "depth", "semantics", "instances"):
        np.testing.assert_array_equal(getattr(one, name), getattr(same, name))
    assert (one.image != other.image).mean() > 0.3


def test_supersampling_leaves_the_truth_alone() -> None:
    scene = build_scene("room", 2)
    position = scene.free_position(np.random.default_rng(0))
    coarse, fine = (render_erp(scene, position, 24, 48, supersample=factor) for factor in (1, 3))
    np.testing.assert_array_equal(coarse.depth, fine.depth)
    np.testing.assert_array_equal(coarse.semantics, fine.semantics)
    assert (coarse.image != fine.image).any()


def test_a_heading_rolls_the_panorama_and_turns_its_normals() -> None:
    scene = build_scene("street", 4)
    position = scene.free_position(np.random.default_rng(0))
    columns, width = 5, 64
    heading = columns * 2 * np.pi / width
    straight, turned = render_erp(scene, position, 32, width), render_erp(scene, position, 32, width, heading=heading)
    rolled = np.roll(straight.semantics, -columns, axis=1)
    same = (rolled == turned.semantics) & ~turned.sky
    # Rays along an edge may fall to either side, as the turn is rounded.
    assert (rolled == turned.semantics).mean() > 0.999
    error = np.abs(np.roll(straight.depth, -columns, axis=1) - turned.depth)
    assert (error < 1e-4).mean() > 0.999
    cos, sin = np.cos(heading), np.sin(heading)
    rotated = np.roll(straight.normals, -columns, axis=1) @ np.array([[cos, 0, -sin], [0, 1, 0], [sin, 0, cos]]).T
    agreement = (rotated * turned.normals).sum(-1)[same]
    assert np.mean(agreement > 0.9999) > 0.999


def test_an_amodal_mask_is_the_whole_object_alone() -> None:
    scene, position = box_room(with_object=True), np.array([0.0, -1.25, 0.0])
    frame = render_erp(scene, position, 64, 128)
    masks = amodal_masks(scene, position, erp_directions(64, 128))
    table, sofa = (scene.instances[scene.classes == ID[name]][0] for name in ("table", "sofa"))
    np.testing.assert_array_equal(masks[table], frame.instances == table)
    visible = frame.instances == sofa
    assert (masks[sofa] >= visible).all()
    assert masks[sofa].sum() > 1.2 * visible.sum(), "the table hides part of the sofa"
    assert (masks[sofa] & masks[table]).any()


@pytest.mark.parametrize("first", [False, True])
def test_run_lengths_decode_to_the_mask(first: bool) -> None:
    mask = np.random.default_rng(0).random((7, 9)) > 0.5
    mask[0, 0] = first
    encoded = run_lengths(mask)
    np.testing.assert_array_equal(decode_run_lengths(encoded), mask)
    assert sum(encoded["counts"]) == mask.size


def test_an_unknown_kind_names_those_there_are() -> None:
    with pytest.raises(ValueError, match="use one of room, street"):
        build_scene("castle", 0)
