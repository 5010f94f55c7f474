"""Turned views, and the agreement of labellings against brute force over pairs."""

from itertools import combinations

import numpy as np
import pytest

from geometry.fusion.rotations import rotation_consistency
from geometry.layouts import icosahedron, turned

SHAPE = (8, 16)
GENERATOR = np.random.default_rng(3)


def labelling(depth=None, normals=None, semantics=None, valid=None) -> dict[str, np.ndarray]:
    given = {"depth": depth, "normals": normals, "semantics": semantics}
    labels = {name: value for name, value in given.items() if value is not None}
    return labels | {f"{name}_valid": np.ones(SHAPE, bool) if valid is None else valid for name in labels}


def test_turned_views_look_along_the_turned_axis():
    cameras = icosahedron(16)
    right = turned(cameras, np.pi / 2)
    for before, after in zip(cameras, right, strict=True):
        x, y, z = before.axis
        np.testing.assert_allclose(after.axis, [z, y, -x], atol=1e-12)  # forward (0, 0, 1) is now right (1, 0, 0)
        assert (after.width, after.fov) == (before.width, before.fov)
    whole = turned(cameras, 2 * np.pi)
    np.testing.assert_allclose([one.rotation for one in whole], [one.rotation for one in cameras], atol=1e-12)


@pytest.mark.parametrize("count", [2, 3, 4])
def test_depths_agree_by_the_deviation_of_their_logarithms(count):
    logs = GENERATOR.normal(1, 0.05, (count, *SHAPE))
    found = rotation_consistency([labelling(np.exp(one)) for one in logs], 0.1, metric=True)["depth_rotation_consistency"]
    np.testing.assert_allclose(found, 255 * np.exp(-logs.std(axis=0, ddof=1) / 0.1), atol=1)


@pytest.mark.parametrize(("metric", "expected"), [(True, 255 * np.exp(-np.log(2) / np.sqrt(2) / 0.5)), (False, 255)])
def test_a_scale_of_each_labelling_counts_only_in_metres(metric, expected):
    depth = GENERATOR.uniform(1, 4, SHAPE)
    found = rotation_consistency([labelling(depth), labelling(2 * depth)], 0.5, metric)["depth_rotation_consistency"]
    np.testing.assert_allclose(found, expected, atol=1)


def test_normals_agree_by_the_angle_between_them():
    angle = np.radians(15)
    pair = [np.broadcast_to(np.float32(one), (*SHAPE, 3)) for one in ([0, 0, -1], [0, np.sin(angle), -np.cos(angle)])]
    found = rotation_consistency([labelling(normals=one) for one in pair], 0.1, True)["normals_rotation_consistency"]
    np.testing.assert_allclose(found, 255 * np.exp(-15 / 20), atol=1)


def test_classes_agree_by_the_entropy_of_their_frequencies():
    labels = GENERATOR.integers(0, 3, (4, *SHAPE)).astype(np.uint8)
    found = rotation_consistency([labelling(semantics=one) for one in labels], 0.1, True)["semantics_rotation_consistency"]
    shares = np.stack([(labels == label).mean(axis=0) for label in range(3)])
    entropy = -np.sum(shares * np.log(np.where(shares > 0, shares, 1)), axis=0) / np.log(4)
    np.testing.assert_allclose(found, np.clip(255 * (1 - entropy), 1, 255), atol=1)


def test_what_fewer_than_two_labellings_say_is_not_judged():
    masks = GENERATOR.random((3, *SHAPE)) < 0.5
    labels = [
        labelling(np.ones(SHAPE), np.broadcast_to([0, 0, -1.0], (*SHAPE, 3)), np.ones(SHAPE, np.uint8), mask) for mask in masks
    ]
    two = np.any([one & other for one, other in combinations(masks, 2)], axis=0)
    for name, found in rotation_consistency(labels, 0.1, True).items():
        np.testing.assert_array_equal(found, np.where(two, 255, 0), err_msg=name)
