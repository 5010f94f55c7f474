"""Spherical masks against dense masks, closed-form areas, and the seam and poles that a flat run length would cut."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from geometry.directions import erp_directions
from geometry.instances.masks import (
    common_area,
    decode_mask,
    encode_mask,
    intersection_over_smaller,
    masks_of_ids,
    pack_masks,
    pixel_areas,
    spherical_iou,
    unpack_masks,
)

shapes = st.tuples(st.integers(1, 9), st.integers(1, 17))
dense_masks = shapes.flatmap(lambda shape: arrays.arrays(bool, shape))
pairs = shapes.flatmap(lambda shape: st.tuples(arrays.arrays(bool, shape), arrays.arrays(bool, shape)))


def disc(direction: tuple[float, float, float], degrees: float, height: int = 90) -> np.ndarray:
    towards = np.array(direction) / np.linalg.norm(direction)
    return erp_directions(height, 2 * height) @ towards > np.cos(np.radians(degrees))


@settings(max_examples=150, deadline=None)
@given(dense_masks)
def test_a_mask_survives_its_encoding(mask):
    encoded = encode_mask(mask)
    np.testing.assert_array_equal(decode_mask(encoded), mask)
    assert (np.diff(encoded.starts) > 0).all()
    assert ((encoded.lengths >= 1) & (encoded.lengths <= mask.shape[1])).all()
    # One run for each pixel whose left neighbour, round the sphere, is not in the mask; one for each full row.
    runs = (mask & ~np.roll(mask, 1, axis=1)).sum() + mask.all(axis=1).sum()
    assert len(encoded.starts) == runs


@settings(max_examples=100, deadline=None)
@given(dense_masks, st.integers(0, 40))
def test_turning_the_panorama_changes_no_measure(mask, turn):
    turned, still = encode_mask(np.roll(mask, turn, axis=1)), encode_mask(mask)
    assert len(turned.starts) == len(still.starts)
    assert turned.area == pytest.approx(still.area)
    assert turned.covers_pole == still.covers_pole


@settings(max_examples=150, deadline=None)
@given(pairs)
def test_overlaps_are_those_of_dense_masks(pair):
    one, other = pair
    areas = np.broadcast_to(pixel_areas(*one.shape)[:, None], one.shape)
    a, b = encode_mask(one), encode_mask(other)
    assert a.area == pytest.approx(areas[one].sum())
    assert common_area(a, b) == pytest.approx(areas[one & other].sum())
    if (one | other).any():
        assert spherical_iou(a, b) == pytest.approx(areas[one & other].sum() / areas[one | other].sum())
    if one.any() and other.any():
        smaller = min(areas[one].sum(), areas[other].sum())
        assert intersection_over_smaller(a, b) == pytest.approx(areas[one & other].sum() / smaller)


@settings(max_examples=100, deadline=None)
@given(shapes.flatmap(lambda shape: arrays.arrays(np.uint16, shape, elements=st.integers(0, 4))))
def test_ids_give_the_masks_of_each(ids):
    masks = masks_of_ids(ids, 3)
    runs, offsets = pack_masks(masks)
    padded = np.concatenate([runs, np.full((5, 2), 7, np.uint32)])
    for number, mask in enumerate(unpack_masks(padded, offsets, *ids.shape), start=1):
        np.testing.assert_array_equal(decode_mask(mask), ids == number)


def test_pixels_make_a_sphere_and_discs_their_caps():
    assert pixel_areas(64, 128).sum() * 128 == pytest.approx(4 * np.pi)
    for direction in ((0, 0, 1), (0, 0, -1), (0, -1, 0), (0.3, 0.9, -0.2)):
        mask = encode_mask(disc(direction, 20, 360))
        assert mask.area == pytest.approx(2 * np.pi * (1 - np.cos(np.radians(20))), rel=3e-3)
        np.testing.assert_allclose(mask.centre, np.array(direction) / np.linalg.norm(direction), atol=2e-3)


def test_seam_and_poles():
    front, back, up, down = (encode_mask(disc(towards, 15)) for towards in ((0, 0, 1), (0, 0, -1), (0, -1, 0), (0, 1, 0)))
    assert [mask.crosses_seam for mask in (front, back, up, down)] == [False, True, True, True]
    assert [mask.covers_pole for mask in (front, back, up, down)] == [False, False, True, True]
    assert len(back.starts) == len(front.starts)  # no cut at the seam


def test_a_belt_has_no_centre_and_an_empty_mask_no_area():
    belt, nothing = np.zeros((8, 16), bool), np.zeros((8, 16), bool)
    belt[3:5] = True
    np.testing.assert_array_equal(encode_mask(belt).centre, 0)
    assert encode_mask(nothing).area == spherical_iou(encode_mask(nothing), encode_mask(nothing)) == 0
    assert intersection_over_smaller(encode_mask(belt), encode_mask(nothing)) == 0
    with pytest.raises(ValueError, match="one size"):
        common_area(encode_mask(belt), encode_mask(belt[:4]))
