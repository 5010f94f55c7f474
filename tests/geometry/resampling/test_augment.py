"""Augmentations against worlds that are known in closed form, and against each other."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geometry.directions import erp_directions
from geometry.resampling.augment import Augmentation, augment, mirror, roll, rotate, yaw_of

H, W = 32, 64
RAYS, IDENTITY = erp_directions(H, W), np.eye(3)
QUICK = settings(max_examples=25, deadline=None)
angles = st.floats(-np.pi, np.pi)
seeds = st.integers(0, 2**32 - 1)


def box_room(rotation=IDENTITY, half=(2.0, 1.2, 3.0)):
    """Arrays of a box seen from its centre, turned by a rotation: distance, normals, points, wall number, a smooth image."""
    rays = RAYS @ rotation  # each pixel's direction in the room's own frame
    distances = np.array(half) / np.maximum(np.abs(rays), 1e-9)
    axis = distances.argmin(-1)
    depth = distances.min(-1)
    normals = -np.sign(np.take_along_axis(rays, axis[..., None], -1)) * np.eye(3)[axis]
    return {
        "image": ((rays + 1) * 127).astype(np.float32),
        "depth": depth.astype(np.float32),
        "normals": (normals @ rotation.T).astype(np.float32),
        "points": (RAYS * depth[..., None]).astype(np.float32),
        "semantics": (2 * axis + (normals.sum(-1) > 0)).astype(np.uint8),
    }


def rotation_of(seed):
    matrix, triangle = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))
    matrix = matrix * np.sign(np.diag(triangle))
    return matrix * np.sign(np.linalg.det(matrix))


def assert_same(one, other, tolerance=2e-4):
    assert one.keys() == other.keys()
    for name in one:
        assert one[name].dtype == other[name].dtype
        np.testing.assert_allclose(one[name], other[name], atol=tolerance * np.abs(other[name]).max(), err_msg=name)


@QUICK
@given(columns=st.integers(-3 * W, 3 * W))
def test_a_rolled_room_is_the_turned_room(columns):
    assert_same(roll(box_room(), columns), box_room(yaw_of(columns, W)))


def test_a_mirrored_room_is_the_room_seen_in_a_mirror():
    start = box_room(yaw_of(5, W))
    assert_same(
        {name: mirror(start)[name] for name in ("depth", "normals", "points")},
        {name: box_room(yaw_of(-5, W))[name] for name in ("depth", "normals", "points")},
    )


@QUICK
@given(columns=st.integers(0, W))
def test_rolls_and_mirrors_undo_themselves_and_each_other(columns):
    room = box_room(yaw_of(3, W))
    assert_same(roll(roll(room, columns), -columns), room)
    assert_same(mirror(mirror(room)), room, 0)
    assert_same(mirror(roll(mirror(room), columns)), roll(room, -columns))


@QUICK
@given(seed=seeds)
def test_a_rotated_room_is_the_turned_room_up_to_a_pixel(seed):
    rotation = rotation_of(seed)
    found, expected = rotate(box_room(), rotation), box_room(rotation)
    same = found["semantics"] == expected["semantics"]  # but along the edges of the room
    assert same.mean() > 0.85
    np.testing.assert_allclose(found["normals"][same], expected["normals"][same], atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(found["points"], axis=-1), found["depth"], rtol=1e-5)
    assert np.median(np.abs(found["depth"] / expected["depth"] - 1)) < 0.05
    # Points are moved whole, so they lie on the walls wherever they came from.
    inside = np.abs(found["points"] @ rotation)
    np.testing.assert_allclose(np.max(inside / [2.0, 1.2, 3.0], axis=-1), 1, atol=1e-5)
    np.testing.assert_allclose(found["image"], expected["image"], atol=1.0)  # linear in the ray, so bilinear is near


@QUICK
@given(columns=st.integers(0, W))
def test_rotating_by_whole_columns_is_rolling(columns):
    assert_same(rotate(box_room(), yaw_of(columns, W)), roll(box_room(), columns))


@QUICK
@given(seed=seeds)
def test_no_label_is_invented(seed):
    generator = np.random.default_rng(seed)
    arrays = {"semantics": generator.choice([3, 7, 200], (H, W)).astype(np.uint8), "valid": generator.random((H, W)) > 0.5,
              "depth": generator.choice([1.0, 50.0], (H, W)).astype(np.float16)}  # fmt: skip
    for name, array in augment(arrays, Augmentation(tilt_degrees=90), generator).items():
        assert array.dtype == arrays[name].dtype
        assert set(np.unique(array)) <= set(np.unique(arrays[name]))


@QUICK
@given(seed=seeds, tilt=st.sampled_from([0.0, 8.0]))
def test_augmented_points_stay_on_the_rays_that_see_them(seed, tilt):
    changed = augment(box_room(), Augmentation(tilt_degrees=tilt), np.random.default_rng(seed))
    towards = changed["points"] / changed["depth"][..., None]
    pixel = np.pi / H
    assert np.arccos(np.clip((towards * RAYS).sum(-1), -1, 1)).max() < (0.75 * pixel if tilt else 1e-3)
    assert ((changed["normals"] * RAYS).sum(-1) < (0.1 if tilt else 0)).all()  # facing the viewpoint, up to that pixel


def test_the_same_generator_gives_the_same_change_and_switches_are_obeyed():
    room = box_room()
    one, other = (augment(room, Augmentation(tilt_degrees=5), np.random.default_rng(4)) for _ in range(2))
    assert_same(one, other, 0)
    assert_same(augment(room, Augmentation(False, False, 0), np.random.default_rng(4)), room, 0)
    shifts = {augment(room, Augmentation(True, False, 0), np.random.default_rng(seed))["depth"][16, 0] for seed in range(30)}
    assert len(shifts) > 8


def test_a_tilt_beyond_half_a_turn_is_refused():
    with pytest.raises(ValueError, match="tilt_degrees must lie between 0 and 180, got 181"):
        Augmentation(tilt_degrees=181)
