"""Instances of many views: objects over the seam, over a pole, seen in many views, touching, missed, false and confused."""

import tracemalloc
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geometry import layouts
from geometry.cameras import Camera
from geometry.directions import erp_directions
from geometry.fields import Field
from geometry.instances.fuse import InstanceSettings, fuse_instances
from geometry.instances.masks import decode_mask, pixel_areas, unpack_masks
from geometry.instances.merge import Segments, merge_segments, pair_areas, segments_of
from geometry.instances.panoptic import panoptic_map
from geometry.resampling.backproject import backprojection

HEIGHT, WIDTH = 96, 192
VIEWS = layouts.icosahedron(64)
Shape = Callable[[np.ndarray], np.ndarray]
FRONT, BACK, UP, DOWN = (0, 0, 1), (0, 0, -1), (0, -1, 0), (0, 1, 0)


def cap(towards: tuple[float, float, float], degrees: float) -> Shape:
    axis = np.array(towards) / np.linalg.norm(towards)
    return lambda directions: directions @ axis > np.cos(np.radians(degrees))


def seen(objects: list[tuple[Shape, int]], change=lambda view, ids, classes: None, cameras=VIEWS) -> Field:
    """The masks of objects in every view, numbered differently in each; ``change`` may edit a view's ids and classes."""
    ids = np.zeros((len(cameras), cameras[0].height, cameras[0].width), np.uint16)
    classes, scores = np.full((len(cameras), 16), -1, np.int32), np.zeros((len(cameras), 16), np.float32)
    for view, camera in enumerate(cameras):
        numbers = np.random.default_rng(view).permutation(len(objects)) + 1
        for number, (shape, label) in zip(numbers, objects):
            ids[view][shape(camera.directions())] = number
            classes[view, number - 1], scores[view, number - 1] = label, 0.5 + view / 100
        change(view, ids[view], classes[view])
    tables = {"segment_class": classes, "segment_score": scores}
    return Field("instances", ids, np.ones(ids.shape, bool), "segment", tables=tables)


def fused(field: Field, things=None, cameras=VIEWS, **changes) -> dict[str, np.ndarray]:
    return fuse_instances(field, cameras, HEIGHT, WIDTH, InstanceSettings(**changes), things)


def iou(one: np.ndarray, other: np.ndarray) -> float:
    areas = pixel_areas(HEIGHT, WIDTH)[:, None]
    return float((areas * (one & other)).sum() / (areas * (one | other)).sum())


@pytest.mark.parametrize(
    ("towards", "seam", "pole"), [(FRONT, False, False), (BACK, True, False), (UP, True, True), (DOWN, True, True)]
)
def test_one_object_wherever_it_lies(towards, seam, pole):
    field = seen([(cap(towards, 20), 3)])
    out = fused(field)
    assert len(out["instance_class"]) == 1
    assert iou(out["instances"] == 1, cap(towards, 20)(erp_directions(HEIGHT, WIDTH))) > 0.95
    assert out["instance_area"][0] == pytest.approx(2 * np.pi * (1 - np.cos(np.radians(20))), rel=0.05)
    np.testing.assert_allclose(out["instance_direction"][0], towards, atol=0.02)
    assert (out["instance_class"][0], out["instance_seam"][0], out["instance_pole"][0]) == (3, seam, pole)
    views = field.values.any(axis=(1, 2))
    assert views.sum() >= 5
    np.testing.assert_array_equal(out["instance_views"][0], views)
    assert 0.5 < out["instance_score"][0] < 0.7
    assert out["instance_agreement"][0] > 0.97
    assert len(out["instance_runs"]) == 0  # nothing hides any of it


def halves(directions: np.ndarray, side: int) -> np.ndarray:
    return cap(BACK, 25)(directions) & (directions[..., 0] * side >= (0 if side > 0 else 1e-12))


def joins(joined: set[int]):
    def change(view, ids, classes):
        if view in joined:
            ids[ids > 0] = 1

    return change


@pytest.mark.parametrize("joined", [set(), {9}, {2, 12}])
def test_touching_objects_of_one_class_stay_two(joined):
    objects = [(lambda directions: halves(directions, 1), 5), (lambda directions: halves(directions, -1), 5)]
    out = fused(seen(objects, joins(joined)))
    assert len(out["instance_class"]) == 2
    truth = [shape(erp_directions(HEIGHT, WIDTH)) for shape, _ in objects]
    for half in truth:
        assert max(iou(out["instances"] == number, half) for number in (1, 2)) > 0.6


def test_no_view_sees_the_whole_of_a_long_object():
    def belt(directions):
        return (np.abs(directions[..., 1]) < 0.12) & (directions[..., 2] < 0.5)

    out = fused(seen([(belt, 1)]))
    assert len(out["instance_class"]) == 1
    assert out["instance_seam"][0]
    assert iou(out["instances"] == 1, belt(erp_directions(HEIGHT, WIDTH))) > 0.9


def test_views_that_miss_an_object_do_not_eat_its_outline_and_false_ones_go():
    views = np.argsort([-cap(FRONT, 20)(camera.directions()).sum() for camera in VIEWS])

    def change(view, ids, classes):
        if view == views[1]:
            ids[:] = 0
        if view == 19:
            ids[40:50, 3:9], classes[15] = 16, 7

    out = fused(seen([(cap(FRONT, 20), 3)], change))
    np.testing.assert_array_equal(out["instance_class"], [3])
    assert iou(out["instances"] == 1, cap(FRONT, 20)(erp_directions(HEIGHT, WIDTH))) > 0.9
    assert out["instance_agreement"][0] < 0.9


def test_a_class_that_one_view_confuses():
    def change(view, ids, classes):
        if view == confused:
            classes[classes >= 0] = 9

    confused = int(np.argmax([cap(FRONT, 20)(camera.directions()).sum() for camera in VIEWS]))
    field = seen([(cap(FRONT, 20), 3)], change)
    for across in (True, False):
        out = fused(field, across_classes=across)
        np.testing.assert_array_equal(out["instance_class"], [3])
        assert out["instance_views"][0, confused] == across


def test_what_others_hide_is_kept_as_whole_masks():
    first, second = cap((-0.15, 0, 1), 14), cap((0.15, 0, 1), 14)
    known, field = (seen([(first, 1)]), seen([(second, 2)])), seen([(first, 1), (second, 2)])
    for view in range(len(VIEWS)):  # every view knows one of the two only, and sees the whole of it
        for name in ("segment_class", "segment_score"):
            field.tables[name][view] = known[view % 2].tables[name][view]
        field.values[view] = known[view % 2].values[view]
    out = fused(field, min_support=0.0)
    assert sorted(out["instance_class"]) == [1, 2]
    masks = unpack_masks(out["instance_runs"], out["instance_offsets"], HEIGHT, WIDTH)
    hidden = 0
    for number, mask in enumerate(masks, start=1):
        whole, shown = decode_mask(mask), out["instances"] == number
        assert iou(whole, (first, second)[out["instance_class"][number - 1] - 1](erp_directions(HEIGHT, WIDTH))) > 0.9
        assert (whole >= shown).all()
        hidden += (whole & ~shown).sum()
    assert hidden == (decode_mask(masks[0]) & decode_mask(masks[1])).sum() > 20


def test_only_things_and_nothing_at_all():
    field = seen([(cap(FRONT, 20), 3), (cap(BACK, 20), 4)])
    np.testing.assert_array_equal(fused(field, things={4})["instance_class"], [4])
    for empty in (fused(field, things=()), fused(seen([]))):
        assert not empty["instances"].any()
        assert len(empty["instance_class"]) == len(empty["instance_runs"]) == 0
        np.testing.assert_array_equal(empty["instance_offsets"], [0])


def test_pixels_that_a_view_does_not_know_do_not_count():
    field = seen([(cap(FRONT, 20), 3)])
    for view in (2, 7):
        field.valid[view, :, :32] = False
        field.values[view, :, :32] = 1  # must not be looked at
    out = fused(field)
    assert len(out["instance_class"]) == 1
    assert iou(out["instances"] == 1, cap(FRONT, 20)(erp_directions(HEIGHT, WIDTH))) > 0.95


def test_overlaps_are_those_of_dense_maps():
    cameras = layouts.cubemap(32, np.radians(120))
    field = seen([(cap((1, 0.2, 1), 30), 1), (cap((1, -0.5, -1), 25), 2)], cameras=cameras)
    segments = segments_of(field)
    tables = pair_areas(segments, [backprojection(camera, HEIGHT, WIDTH) for camera in cameras])
    dense = []
    for view, camera in enumerate(cameras):
        column, row, inside = camera.project(erp_directions(HEIGHT, WIDTH))
        at = np.clip(row.astype(int), 0, 31), np.clip(column.astype(int), 0, 31)
        dense.append(np.where(inside, segments.patches[view, :-1].reshape(32, 32)[at], -1))
    areas = np.repeat(pixel_areas(HEIGHT, WIDTH)[:, None], WIDTH, axis=1)
    for (i, j), table in tables.items():
        for a, b in np.ndindex(table.shape):
            if a or b:
                expected = areas[(dense[i] == a) & (dense[j] == b)].sum()
                assert table[a, b] == pytest.approx(expected, abs=6 * areas.max()), (i, j, a, b)
    assert len(tables) >= 6


@st.composite
def overlapping(draw):
    """Segments of up to 5 views with random classes and random tables of overlap."""
    counts = draw(st.lists(st.integers(0, 4), min_size=1, max_size=5))
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    labels = [generator.integers(0, 2, count).astype(np.int32) for count in counts]
    scores = [np.ones(count, np.float32) for count in counts]
    segments = Segments(np.full((len(counts), 2), -1, np.int32), labels, scores, np.ones(sum(counts), int))
    views = [(i, j) for i in range(len(counts)) for j in range(i + 1, len(counts))]
    return segments, {(i, j): generator.random((counts[i] + 1, counts[j] + 1)) ** 4 for i, j in views}


@settings(max_examples=150, deadline=None)
@given(overlapping(), st.sampled_from(["iou", "smaller"]), st.floats(0.01, 1), st.booleans())
def test_two_masks_of_one_patch_never_merge(case, overlap, threshold, across):
    segments, tables = case
    groups = merge_segments(segments, tables, overlap, threshold, across)
    assert len(groups) == len(segments.sizes)
    assert set(groups) == set(range(1, len(set(groups)) + 1))
    label = np.concatenate(segments.labels)
    for group in set(groups):
        members = groups == group
        assert len(set(segments.view[members])) == members.sum()
        assert across or len(set(label[members])) == 1


def test_not_even_through_a_mask_of_another_view():
    # a and b of view 0 both lie in m of view 1: m goes to the one it overlaps more, and the other stays alone.
    segments = Segments(np.full((2, 2), -1, np.int32), [np.zeros(2, np.int32), np.zeros(1, np.int32)], [], np.ones(3, int))
    tables = {(0, 1): np.array([[0, 0.0], [0, 0.5], [0, 0.4]])}
    np.testing.assert_array_equal(merge_segments(segments, tables, "smaller", 0.5, True), [1, 2, 1])


def test_memory_does_not_grow_with_the_number_of_instances():
    camera = (Camera.looking(240, 240, np.radians(90)), Camera.looking(240, 240, np.radians(90), 0.3))
    ids = np.arange(240 * 240).reshape(240, 240) // 12 % 20 + np.arange(240)[:, None] // 12 * 20 + 1
    values = np.stack([ids, ids]).astype(np.uint16)
    tables = {"segment_class": np.zeros((2, 400), np.int32), "segment_score": np.ones((2, 400), np.float32)}
    field = Field("instances", values, np.ones(values.shape, bool), "segment", tables=tables)
    tracemalloc.start()
    out = fuse_instances(field, camera, 256, 512, InstanceSettings(), None)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(out["instance_class"]) > 400
    assert peak < 40 * 2**20  # one bool map for each would be 50 MB, one of float32 200 MB


def test_panoptic_map():
    labels = {
        "instances": np.array([[1, 0, 0, 0, 2]], np.uint16),
        "instance_class": np.array([7, 8], np.uint16),
        "semantics": np.array([[1, 2, 7, 8, 1]], np.uint8),
        "semantics_valid": np.array([[True, True, True, True, False]]),
        "semantics_runner_up": np.array([[2, 1, 3, 7, 2]], np.uint8),
    }
    out = panoptic_map(labels, {7, 8}, 20)
    np.testing.assert_array_equal(out["panoptic"], [[7, 2, 3, 0, 8]])
    np.testing.assert_array_equal(out["panoptic_valid"], [[True, True, True, False, True]])
    assert out["panoptic"].dtype == np.uint8
    only = panoptic_map({name: labels[name] for name in ("instances", "instance_class")}, {7, 8}, 300)
    np.testing.assert_array_equal(only["panoptic_valid"], [[True, False, False, False, True]])
    assert only["panoptic"].dtype == np.uint16


def test_wrong_input_is_named():
    field = seen([(cap(FRONT, 20), 3)])
    with pytest.raises(ValueError, match="20 views"):
        fuse_instances(field, VIEWS[:3], HEIGHT, WIDTH, InstanceSettings())
    field.tables["segment_class"].resize((20, 0), refcheck=False)
    with pytest.raises(ValueError, match="describes 0"):
        fused(field)
    for wrong in ({"overlap": "dice"}, {"threshold": 0.0}, {"min_support": 2.0}, {"min_visible": -1.0}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            InstanceSettings(**wrong)
