"""Clips of moving scenes: their truth agrees with itself over time, and their files change no pixel."""

import json
from pathlib import Path

import av
import numpy as np
import pytest

from geometry.directions import directions_to_erp, erp_directions
from geometry.video.flow import angles_between, rigid_bearings
from scenes.clips import write_clips
from scenes.filming import film, true_tracks
from scenes.motion import CameraPath, Rigid, Swing
from scenes.moving import PATHS, MovingScene, build_clip
from scenes.render import render_erp
from scenes.textures import Material
from scenes.world import Builder
from tests.scenes.test_render import box_room

TIMES = [0.0, 0.4, 0.8, 1.2]


def moving_box() -> MovingScene:
    scene = box_room(with_object=True)
    swing = Swing((0.0, -1.3, 1.0), (0.3, 0.0, 0.0), 2.0, 0.4)
    return MovingScene(scene, {1: swing}, CameraPath((0.1, -1.25, -1.0), 0.3, speed=0.3, turn=0.5, shake=0.02))


def test_motions_compose_and_come_back() -> None:
    camera = CameraPath((1.0, 2.0, 3.0), 0.4, 0.2, 0.8, 0.3, 0.05)
    one, other = camera(0.7), camera(1.9)
    points = np.random.default_rng(0).normal(size=(20, 3))
    np.testing.assert_allclose(one.inverse()(one(points)), points, atol=1e-12)
    np.testing.assert_allclose(one.after(other)(points), one(other(points)), atol=1e-12)


def test_a_camera_at_rest_sees_the_panorama() -> None:
    scene = box_room(with_object=True)
    still = MovingScene(scene, {}, lambda _: Rigid(np.eye(3), np.array([0.0, -1.25, 0.0])))
    (filmed,) = film(still, [0.0], 32)
    theirs = render_erp(scene, np.array([0.0, -1.25, 0.0]), 32, 64)
    np.testing.assert_array_equal(filmed.frame.image, theirs.image)
    np.testing.assert_array_equal(filmed.frame.depth, theirs.depth)
    assert not filmed.moving.any()


def test_depth_of_one_frame_is_that_of_another_where_nothing_moves() -> None:
    frames = list(film(moving_box(), [0.0, 0.5], 48))
    first, second = frames
    relative = first.pose.inverse().after(second.pose)
    seen, distance = rigid_bearings(first.frame.depth, relative.rotation, relative.shift)
    column, row = directions_to_erp(seen, 48, 96)
    other = second.frame.depth[np.minimum(row.astype(int), 47), column.astype(int) % 96]
    agree = np.abs(other / distance - 1) < 0.05
    assert agree[~first.moving].mean() > 0.95  # the rest is hidden by now, or at an edge


def test_what_moves_is_masked_and_moves() -> None:
    scene = moving_box()
    for filmed in film(scene, TIMES, 32):
        np.testing.assert_array_equal(filmed.moving, filmed.frame.instances == 1)
    assert any(filmed.moving.any() for filmed in film(scene, TIMES, 32))
    at_rest, later = scene.at(0.0), scene.at(0.5)
    own = at_rest.instances == 1
    assert np.abs(at_rest.triangles[own] - later.triangles[own]).max() > 0.2
    np.testing.assert_array_equal(at_rest.triangles[~own], later.triangles[~own])


def test_tracks_are_where_the_depth_says() -> None:
    scene, seeds = moving_box(), erp_directions(16, 32).reshape(-1, 3)
    tracks = true_tracks(scene, TIMES, seeds, born=1)
    np.testing.assert_allclose(tracks.bearing[:, 1], seeds, atol=1e-9)
    assert tracks.visible[:, 1].all()
    still = tracks.instance != 1
    assert np.ptp(tracks.point[still], axis=1).max() < 1e-9
    assert np.ptp(tracks.point[~still], axis=1).max() > 0.1
    for number, filmed in enumerate(film(scene, TIMES, 16)):
        away = (tracks.point[:, number] - filmed.pose.shift) @ filmed.pose.rotation
        np.testing.assert_allclose(tracks.bearing[:, number], away / np.linalg.norm(away, axis=1, keepdims=True), atol=1e-9)


def test_texture_light_and_shadow_go_as_they_should() -> None:
    """Seen by a camera that moves with it, a lone thing under even light looks the same at all times."""
    builder = Builder()
    brick = Material("bricks", (0.5, 0.3, 0.2), (0.9, 0.9, 0.9), 0.3, seed=3)
    builder.add("box", "table", brick, (0, 2.0), (1.5, 1.5, 1.0), instance=builder.instance())
    even = {"lights": (), "ambient": (1.0, 1.0, 1.0), "exposure": 1.0, "spots": np.zeros((1, 3))}
    swing = Swing((0.0, -0.7, 2.0), (0.4, 0.0, 0.3), 2.0, 0.5)
    start = Rigid(np.eye(3), np.array([0.0, -0.8, 0.0]))
    lone = MovingScene(builder.scene(kind="box", seed=0, **even), {1: swing}, lambda seconds: swing(seconds).after(start))
    frames = list(film(lone, [0.0, 0.3, 0.6], 48))
    assert frames[0].moving.mean() > 0.02
    for filmed in frames[1:]:
        both = filmed.moving & frames[0].moving
        assert both.sum() > 0.98 * frames[0].moving.sum()
        difference = filmed.frame.image[both].astype(int) - frames[0].frame.image[both]
        assert np.abs(difference).mean() < 2  # pixels at the edge of a brick aside


@pytest.mark.parametrize("path", PATHS)
def test_cameras_move_as_their_path_says_and_meet_nothing(path: str) -> None:
    scene = build_clip("room", 3, path, things=2, seconds=2.0)
    frames = list(film(scene, [0.0, 1.0, 1.9], 16))
    gone = np.linalg.norm(frames[-1].pose.shift - frames[0].pose.shift)
    turned = angles_between(frames[0].pose.rotation[:, 2], frames[1].pose.rotation[:, 2])
    assert (gone > 0.05) == ("speed" in PATHS[path])
    assert (turned > 0.2) == ("turn" in PATHS[path])
    assert min(filmed.frame.depth[filmed.frame.depth > 0].min() for filmed in frames) > 0.1


def test_an_unknown_path_is_refused() -> None:
    with pytest.raises(ValueError, match="walk_turn"):
        build_clip("room", 0, "fly")


def test_files_hold_what_was_rendered(tmp_path: Path) -> None:
    write_clips(tmp_path, "room", 1, 3, 32, seconds=0.6, rate=10, path="turn", processes=1)
    about = json.loads((tmp_path / "dataset.json").read_text())
    assert (about["height"], about["rate"], about["count"]) == (32, 10, 1)
    frames = list(film(build_clip("room", 3, "turn", 3, 0.6), [number / 10 for number in range(6)], 32))
    with av.open(str(tmp_path / "clips/room_00003.mkv")) as file:
        decoded = [(frame.time, frame.to_ndarray(format="rgb24")) for frame in file.decode(video=0)]
    for (time, pixels), filmed in zip(decoded, frames, strict=True):
        assert time == pytest.approx(filmed.seconds, abs=5e-4)
        np.testing.assert_array_equal(pixels, filmed.frame.image)
        truth = np.load(tmp_path / f"truth/room_00003/{round(filmed.seconds * 1000):07d}.npz")
        np.testing.assert_array_equal(truth["depth"], filmed.frame.depth)
        np.testing.assert_array_equal(truth["moving"], filmed.moving)
    trajectory = json.loads((tmp_path / "truth/room_00003/trajectory.json").read_text())
    np.testing.assert_allclose(trajectory[0]["rotation"], np.eye(3), atol=1e-12)
    relative = frames[0].pose.inverse().after(frames[3].pose)
    np.testing.assert_allclose(trajectory[3]["rotation"], relative.rotation, atol=1e-12)
    assert trajectory[3]["time_ns"] == 300_000_000


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_clips(tmp_path / name, "street", 1, 5, 16, seconds=0.2, processes=1)
    one, other = ((tmp_path / name / "clips/street_00005.mkv").read_bytes() for name in ("a", "b"))
    assert one == other
