import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import cKDTree

from geometry.directions import erp_angles, erp_directions
from geometry.surfaces.auxiliaries import EDGE_LIMIT, derive_auxiliaries, luma, point_map
from geometry.surfaces.edges import edge_distance, label_edges
from geometry.surfaces.gradients import sphere_gradient
from geometry.surfaces.normals import depth_edges, normals_from_depth
from tests.geometry.fusion.test_fuse import room


def world_gradient(values: np.ndarray) -> np.ndarray:
    longitude, _ = np.meshgrid(*erp_angles(*values.shape))
    right = np.stack([np.cos(longitude), np.zeros_like(longitude), -np.sin(longitude)], axis=-1)
    down = np.cross(erp_directions(*values.shape), right)  # forward x right = down
    assert (down[..., 1] > 0).all()
    gradient = sphere_gradient(values)
    return gradient[..., :1] * right + gradient[..., 1:] * down


def box(directions: np.ndarray, centre: tuple[float, float, float] = (0.3, -0.2, 0.5)) -> tuple[np.ndarray, np.ndarray]:
    """Distance and inward normals of a box of 6 x 3 x 8 m about ``centre``."""
    walls = np.concatenate([np.eye(3), -np.eye(3)])
    away = np.concatenate([np.array([3, 1.5, 4]) - centre, np.array([3, 1.5, 4]) + centre])
    cosine = directions @ walls.T
    distance = np.where(cosine > 1e-12, away / np.maximum(cosine, 1e-12), np.inf)
    return distance.min(axis=-1), -walls[distance.argmin(axis=-1)]


def everywhere(shape: tuple[int, ...]) -> np.ndarray:
    return np.ones(shape, bool)


@pytest.mark.parametrize(("height", "width"), [(8, 16), (64, 128), (30, 44)])
def test_the_gradient_of_a_linear_function_is_exact_everywhere(height, width):
    slope = np.array([0.3, -1.0, 0.5])
    directions = erp_directions(height, width)
    values = directions @ slope
    np.testing.assert_allclose(world_gradient(values), slope - values[..., None] * directions, atol=1e-6)


def test_the_gradient_of_a_harmonic_converges_on_the_closed_form():
    def worst(height: int) -> float:
        x, y, z = np.moveaxis(directions := erp_directions(height, 2 * height), -1, 0)
        euclidean = np.stack([y + 2 * x, x, -2 * z], axis=-1)  # of x y + x^2 - z^2
        values = x * y + x * x - z * z
        tangent = euclidean - (euclidean * directions).sum(-1, keepdims=True) * directions
        return float(np.abs(world_gradient(values) - tangent)[2:-2].max())

    assert worst(128) < worst(64) / 1.8 < 0.05


def test_noise_is_not_amplified_at_the_poles():
    noise = np.random.default_rng(0).normal(size=(128, 256))
    size = np.sqrt((sphere_gradient(noise) ** 2).mean(axis=(1, 2)))
    assert size.max() < 2 * size.min()


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**31), st.integers(0, 47))
def test_turning_by_columns_turns_the_derived_labels(seed, columns):
    rng = np.random.default_rng(seed)
    depth = rng.uniform(1, 10, (24, 48)).astype(np.float32)
    classes = cv2.resize(rng.integers(0, 3, (3, 6)).astype(np.uint8), (48, 24), interpolation=cv2.INTER_NEAREST)
    valid = rng.random((24, 48)) > 0.1

    def roll(array: np.ndarray) -> np.ndarray:
        return np.roll(array, columns, axis=1)

    np.testing.assert_array_equal(sphere_gradient(roll(depth)), roll(sphere_gradient(depth)))
    edges = label_edges(classes, valid)
    np.testing.assert_array_equal(label_edges(roll(classes), roll(valid)), roll(edges))
    np.testing.assert_allclose(edge_distance(roll(edges), 1.0), roll(edge_distance(edges, 1.0)), atol=1e-7)
    np.testing.assert_array_equal(depth_edges(roll(depth), roll(valid), 0.5), roll(depth_edges(depth, valid, 0.5)))
    angle = 2 * np.pi * columns / 48
    turn = np.array([[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]])
    np.testing.assert_allclose(point_map(roll(depth)), roll(point_map(depth) @ turn.T), atol=1e-5)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**31))
def test_turning_the_sphere_upside_down_turns_the_derived_labels(seed):
    # Half a turn about the forward axis is a roll that maps pixels on pixels: poles change places.
    rng = np.random.default_rng(seed)
    depth, edges = rng.uniform(1, 10, (24, 48)).astype(np.float32), rng.random((24, 48)) < 0.01
    turned = depth[::-1, ::-1]
    np.testing.assert_array_equal(sphere_gradient(turned), -sphere_gradient(depth)[::-1, ::-1])
    np.testing.assert_allclose(edge_distance(edges[::-1, ::-1], 1.0), edge_distance(edges, 1.0)[::-1, ::-1], atol=1e-6)
    np.testing.assert_allclose(point_map(turned), (point_map(depth) * [-1, -1, 1])[::-1, ::-1], atol=1e-5)


@pytest.mark.parametrize("limit", [0.05, EDGE_LIMIT, np.pi])
@pytest.mark.parametrize(("height", "width", "share"), [(64, 128, 0.002), (40, 80, 0.05), (30, 44, 0.01)])
def test_edge_distances_are_those_of_a_search_over_all_edges(height, width, share, limit):
    edges = np.random.default_rng(height).random((height, width)) < share
    directions = erp_directions(height, width)
    chord = cKDTree(directions[edges]).query(directions)[0]
    expected = np.minimum(2 * np.arcsin(chord / 2), limit)
    np.testing.assert_allclose(edge_distance(edges, limit), expected, atol=2e-6)


@pytest.mark.parametrize("place", [(0, 0), (31, 63), (10, 0), (10, 63)])
def test_a_single_edge_at_a_pole_or_the_seam(place):
    edges = np.zeros((32, 64), bool)
    edges[place] = True
    directions = erp_directions(32, 64)
    apart = np.linalg.norm(directions - directions[place], axis=-1)
    np.testing.assert_allclose(edge_distance(edges, np.pi), 2 * np.arcsin(np.minimum(apart / 2, 1)), atol=1e-3)


def test_without_edges_the_distance_is_the_limit():
    np.testing.assert_array_equal(edge_distance(np.zeros((8, 16), bool), 0.5), np.float32(0.5))


@pytest.mark.parametrize("limit", [0, -1, 4, np.nan])
def test_a_limit_outside_its_range_is_named(limit):
    with pytest.raises(ValueError, match="limit must lie in"):
        edge_distance(np.zeros((8, 16), bool), limit)


def test_labels_that_meet_at_the_seam_and_over_the_pole_have_an_edge_there():
    labels = np.zeros((16, 32), np.uint8)
    labels[:, 16:] = 1  # two half spheres: they meet in columns 0 and 16, and in all columns at the poles
    found = label_edges(labels, everywhere(labels.shape))
    assert found[8, [0, 15, 16, 31]].all()
    assert not found[8, 2:14].any()
    assert found[[0, -1]].all()
    hidden = everywhere(labels.shape)
    hidden[:, 16:] = False
    assert not label_edges(labels, hidden).any()


@pytest.mark.parametrize("height", [64, 256])
def test_normals_of_planes_are_exact_away_from_their_borders(height):
    depth, truth = box(erp_directions(height, 2 * height))
    normals, valid = normals_from_depth(depth.astype(np.float32), everywhere(depth.shape), 0.1)
    # A neighbour on another wall changes the gradient; the share of such pixels shrinks with the resolution.
    same = np.linalg.norm(normals - truth, axis=-1) < 1e-3
    assert same[valid].mean() > 1 - 18 / height
    assert valid.mean() > 1 - 1 / height  # a room has creases but no tears
    assert same[[0, -1]].all()


def test_normals_of_a_sphere_around_the_camera_face_it():
    depth = np.full((32, 64), 2.5, np.float32)
    normals, valid = normals_from_depth(depth, everywhere(depth.shape), 0.1)
    np.testing.assert_allclose(normals, -erp_directions(32, 64), atol=1e-5)
    assert valid.all()


def test_no_normal_is_taken_across_a_tear_or_a_hole():
    depth = np.full((32, 64), 2.0, np.float32)
    depth[10:20, 5:15] = 1.0
    valid = everywhere(depth.shape)
    valid[25, 40] = False
    depth[14, 45] = 0  # said to be valid, and is no distance
    normals, known = normals_from_depth(depth, valid, 0.1)
    assert not known[[13, 14, 15, 14, 14], [45, 45, 45, 44, 46]].any()
    np.testing.assert_allclose(normals[known], -erp_directions(32, 64)[known], atol=1e-5)
    assert not known[[10, 9, 24, 26, 25], [7, 7, 40, 40, 40]].any()
    assert not normals[~known].any()
    torn = depth_edges(depth, valid, 0.1)
    assert torn[[10, 9, 15, 15], [7, 7, 5, 4]].all()
    assert not torn[[13, 2, 24], [10, 30, 40]].any()


def test_a_floor_seen_obliquely_is_no_edge():
    down = erp_directions(256, 512)[..., 1]
    depth = np.where(down > 0, 1.6 / np.maximum(down, 1e-9), 0).astype(np.float32)
    steps = np.abs(np.diff(np.log(depth[130:]), axis=0))
    assert steps.max() > 0.2  # neighbours do differ by much
    assert not depth_edges(depth, depth > 0, 0.1)[130:].any()


def test_points_are_where_the_surface_is():
    directions = erp_directions(32, 64)
    depth, normals = box(directions)
    points = point_map(depth.astype(np.float32))
    offsets = np.array([3, 1.5, 4]) - np.sign(-normals.sum(-1))[..., None] * np.array([0.3, -0.2, 0.5])
    distance = -(points * normals).sum(-1)
    np.testing.assert_allclose(distance, (offsets * np.abs(normals)).sum(-1), atol=1e-5)
    assert not point_map(np.zeros((8, 16), np.float32)).any()


def test_luma_of_larger_and_smaller_panoramas():
    x, _, z = np.moveaxis(erp_directions(64, 128), -1, 0)
    grey = (127.5 + 90 * x + 30 * z)[..., None].repeat(3, -1).round().astype(np.uint8)
    for height in (32, 64, 128, 96):
        x, _, z = np.moveaxis(erp_directions(height, 2 * height), -1, 0)
        np.testing.assert_allclose(luma(grey, height, 2 * height) * 255, 127.5 + 90 * x + 30 * z, atol=1.5)
    primaries = np.zeros((2, 4, 3), np.uint8)
    primaries[:, 1:] = 255 * np.eye(3, dtype=np.uint8)
    np.testing.assert_allclose(luma(primaries, 2, 4)[0], [0, 0.2126, 0.7152, 0.0722], atol=1e-6)


def test_only_what_is_asked_for_is_derived():
    depth = room(erp_directions(32, 64))[0].astype(np.float32)
    labels = {"views": np.full((32, 64), 2, np.uint8), "depth": depth, "depth_valid": everywhere(depth.shape)}
    panorama = np.random.default_rng(0).integers(0, 256, (64, 128, 3), dtype=np.uint8)

    assert derive_auxiliaries((), labels, None, 0.1) == {}
    assert set(derive_auxiliaries(("points", "edge_distance"), labels, None, 0.1)) == {"points", "edge_distance"}
    gradient = derive_auxiliaries(("image_gradient",), labels, panorama, 0.1)["image_gradient"]
    assert (gradient.shape, gradient.dtype) == ((32, 64, 2), np.float32)
    without = {"views": labels["views"]}
    for name, wrong in (
        ("points", "needs depth"),
        ("edge_distance", "needs depth,"),
        ("image_gradient", "needs the pan"),
    ):
        with pytest.raises(ValueError, match=f"{name} {wrong}"):
            derive_auxiliaries((name,), without, None, 0.1)
    with pytest.raises(ValueError, match="unknown auxiliary label"):
        derive_auxiliaries(("colour",), labels, None, 0.1)
