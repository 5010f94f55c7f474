"""Bands against brute force over all pairs of pixels, and closed forms."""

import numpy as np
import pytest

from geometry.directions import erp_directions
from geometry.layouts import icosahedron
from metrics.audit.bands import edge_distance, edges, in_ranges, range_names, split_bands, splits


def test_distance_to_an_edge_is_the_smallest_angle_to_any_pixel_of_it() -> None:
    generator = np.random.default_rng(0)
    beside = generator.random((16, 32)) < 0.03
    directions = erp_directions(16, 32).reshape(-1, 3)
    angle = np.arccos(np.clip(directions @ directions[beside.ravel()].T, -1, 1)).min(axis=1).reshape(16, 32)
    found = edge_distance(beside, 0.6)
    near = angle < 0.6 - 1e-6
    np.testing.assert_allclose(found[near], angle[near], atol=1e-7)
    assert np.isinf(found[angle > 0.6 + 1e-6]).all()
    assert np.isinf(edge_distance(np.zeros((4, 8), bool), 1.0)).all()


def test_edges_are_jumps_outlines_and_label_borders_also_over_the_seam() -> None:
    shape = (8, 16)
    depth, valid = np.full(shape, 2.0), np.ones(shape, bool)
    depth[:, 4:8] = 2.3  # 14 %, an edge; 4 % is none
    depth[:, 10:12] = 2.08
    flat = {"depth": depth, "depth_valid": valid}
    expected = np.zeros(shape, bool)
    expected[:, [3, 4, 7, 8]] = True
    np.testing.assert_array_equal(edges(flat), expected)
    sky = {"depth": np.full(shape, 2.0), "depth_valid": valid.copy()}
    sky["depth_valid"][0] = False
    expected = np.zeros(shape, bool)
    expected[:2] = True
    np.testing.assert_array_equal(edges(sky), expected)
    label = np.zeros(shape, np.uint8)
    label[:, 0] = 1
    expected = np.zeros(shape, bool)
    expected[:, [15, 0, 1]] = True
    np.testing.assert_array_equal(edges({"semantics": label, "semantics_valid": valid}), expected)


def test_ranges_and_their_names() -> None:
    values = np.array([-1, 0, 0.5, 1, 7, 100])
    np.testing.assert_array_equal(in_ranges(values, (0, 1, 7), end=True), [-1, 0, 0, 1, -1, -1])
    np.testing.assert_array_equal(in_ranges(values, (0, 1, 7), end=False), [-1, 0, 0, 1, 2, 2])
    assert range_names((0, 0.5, 7), end=True) == ("0-0.5", "0.5-7")
    assert range_names((0, 0.5, 7), end=False) == ("0-0.5", "0.5-7", "7+")


def test_every_split_parts_the_sphere_by_its_own_measure() -> None:
    shape, classes = (16, 32), ("floor", "wall")
    directions = erp_directions(*shape)
    depth = 1 + 9 * (directions[..., 0] + 1)
    label = (directions[..., 1] > 0).astype(np.uint8)
    valid = np.ones(shape, bool)
    reference = {"depth": depth, "depth_valid": valid, "semantics": label, "semantics_valid": valid}
    found = {split.name: split for split in splits(reference, classes, icosahedron(8))}
    assert {name: split.bands for name, split in found.items()} == split_bands(classes)
    latitude = np.degrees(np.arcsin(np.abs(directions[..., 1])))
    assert {found["latitude"].bands[band] for band in np.unique(found["latitude"].index[latitude > 75])} == {"75-90"}
    assert {found["latitude"].bands[band] for band in np.unique(found["latitude"].index[latitude < 30])} == {"0-30"}
    assert (found["depth"].index == found["depth"].bands.index("4-8"))[(depth >= 4) & (depth < 8)].all()
    np.testing.assert_array_equal(found["class"].index, label)
    assert (found["off_axis"].index >= 0).all(), "an icosahedron sees everything"
    assert (found["edge_distance"].index == 0).any()

    values = np.random.default_rng(1).random(shape[0] * shape[1])
    by_band = found["depth"].sums(np.stack([values, 2 * values]))
    np.testing.assert_allclose(by_band[:, 1], 2 * by_band[:, 0])
    by_band = by_band[:, 0]
    inside = [values.reshape(shape)[found["depth"].index == band].sum() for band in range(len(by_band))]
    assert by_band == pytest.approx(inside)
    blind = {split.name: split for split in splits({"views": np.ones(shape, np.uint8)}, (), icosahedron(8))}
    assert (blind["depth"].index == -1).all()
    assert (blind["edge_distance"].index == -1).all()
    assert blind["class"].bands == ()
