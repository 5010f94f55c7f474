"""Auxiliary targets against SciPy and closed forms."""

import numpy as np
from scipy import ndimage

from geometry.padding import pad_sphere
from models.student.targets import auxiliary_targets, edge_distance, image_gradient, point_map


def picture(seed=0):
    return np.random.default_rng(seed).integers(0, 256, (16, 32, 3), dtype=np.uint8)


def test_the_gradient_is_a_sobel_filter_on_the_sphere():
    image = picture()
    grey = np.rint(image @ np.array([0.299, 0.587, 0.114])) / 255
    padded = pad_sphere(grey, 1)
    expected = np.stack([ndimage.sobel(padded, axis)[1:-1, 1:-1] / 4 for axis in (1, 0)], axis=-1)
    np.testing.assert_allclose(image_gradient(image), expected, atol=0.02)  # grey values are rounded to whole steps


def test_a_step_from_black_to_white_has_slope_one():
    image = np.zeros((8, 16, 3), np.uint8)
    image[:, 8:] = 255
    np.testing.assert_allclose(image_gradient(image)[2:6, 7:9], np.broadcast_to([1, 0], (4, 2, 2)), atol=1e-6)


def test_distances_to_edges_go_round_the_seam_and_over_the_pole():
    gradient = np.zeros((16, 32, 2), np.float32)
    gradient[8, 1, 0] = 1
    columns = np.array([0, 1, 31, 30, 17])
    expected = np.log1p(np.array([1, 0, 2, 3, 15]) * 180 / 16)
    np.testing.assert_allclose(edge_distance(gradient)[8, columns], expected, rtol=1e-5)


def test_without_edges_all_is_far():
    np.testing.assert_allclose(edge_distance(np.zeros((8, 16, 2), np.float32)), np.log1p(180), rtol=1e-6)


def test_a_roll_rolls_all_targets_but_turns_points():
    image, depth = picture(), np.random.default_rng(1).uniform(1, 5, (16, 32)).astype(np.float32)
    here, rolled = auxiliary_targets(image, depth), auxiliary_targets(np.roll(image, 5, 1), np.roll(depth, 5, 1))
    for name in ("gradient", "edges"):
        np.testing.assert_allclose(rolled[name], np.roll(here[name], 5, 1), atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(point_map(depth), axis=-1), depth, rtol=1e-5)
    assert set(auxiliary_targets(image, None)) == {"gradient", "edges"}
