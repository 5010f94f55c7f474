"""The rule against closed forms: spheres, planes at any angle, a box room, and things that stand before a wall."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geometry.directions import erp_angles, erp_directions
from geometry.surfaces.incidence import incidence, joined, tolerances, torn, within_incidence
from tests.geometry.surfaces.test_auxiliaries import box

HEIGHTS = (64, 256)


def everywhere(depth: np.ndarray) -> np.ndarray:
    return np.ones(depth.shape, bool)


@given(angle=st.floats(1e-4, 0.2), obliquely=st.floats(0, 1.3), distance=st.floats(0.1, 1e3), which=st.booleans())
@settings(deadline=None)
def test_the_incidence_of_a_plane_is_exact_at_any_step_and_distance(angle, obliquely, distance, which):
    rays = np.array([obliquely - angle / 2, obliquely + angle / 2])
    near, far = distance / np.cos(rays)
    found = incidence(near, far, angle) if which else incidence(far, near, angle)
    assert found == pytest.approx(obliquely, abs=1e-9)
    assert within_incidence(near, far, angle, obliquely + 1e-6, 0)
    assert obliquely < 1e-3 or not within_incidence(near, far, angle, obliquely - 1e-4, 0)


@pytest.mark.parametrize("height", HEIGHTS)
def test_a_sphere_seen_from_its_inside_is_one_surface(height):
    """Of radius 1, from 0.7 off its centre: incidences of up to asin 0.7."""
    along = erp_directions(height, 2 * height) @ np.array([0.6, 0.64, 0.48]) * 0.7
    depth = np.sqrt(1 - 0.49 + along**2) - along
    right, down = joined(depth, everywhere(depth), np.arcsin(0.7) + 1e-3, 0)
    assert right.all()
    assert down.all()
    assert not torn(depth, everywhere(depth)).any()
    right, _ = joined(depth, everywhere(depth), np.radians(20), 0)
    assert not right.all(), "with a limit below what the sphere has, it is torn"


@pytest.mark.parametrize("height", HEIGHTS)
def test_a_room_is_one_surface_over_the_seam_and_the_poles(height):
    depth, _ = box(erp_directions(height, 2 * height))
    right, down = joined(depth, everywhere(depth))
    assert right.shape == depth.shape
    assert down.shape == (height + 1, 2 * height)
    assert right.all()
    assert down.all()


@pytest.mark.parametrize("height", HEIGHTS)
def test_an_endless_floor_is_torn_nowhere_however_obliquely_it_is_seen(height):
    latitude = np.broadcast_to(erp_angles(height, 2 * height)[1][:, None], (height, 2 * height))
    depth = np.where(latitude < 0, 1.6 / np.maximum(-np.sin(latitude), 1e-9), 0)
    assert depth.max() / 1.6 > 40  # the last row below the horizon
    assert not torn(depth, latitude < 0).any()


@pytest.mark.parametrize("height", HEIGHTS)
@pytest.mark.parametrize("turn", [0, 5, 64])
def test_a_pillar_before_a_wall_is_torn_off_on_both_sides_also_over_the_seam(height, turn):
    longitude = np.broadcast_to(erp_angles(height, 2 * height)[0], (height, 2 * height))
    pillar = np.roll(np.abs(longitude) > np.radians(170), turn, axis=1)
    depth = np.where(pillar, 2.0, 3.0)
    right, down = joined(depth, everywhere(depth))
    np.testing.assert_array_equal(right, pillar == np.roll(pillar, -1, axis=1))
    assert down[1:-1].all()
    edge = pillar != np.roll(pillar, -1, axis=1)
    rim = torn(depth, everywhere(depth))
    np.testing.assert_array_equal(rim[1:-1], (edge | np.roll(edge, 1, axis=1))[1:-1])


def test_a_lamp_at_the_pole_is_torn_off_the_ceiling():
    depth = np.full((64, 128), 3.0)
    depth[:4, :64] = 1.0  # half a disc: its straight side runs over the pole
    _, down = joined(depth, everywhere(depth))
    assert not down[0].any()
    assert not down[4, :64].any()
    assert down[4, 64:].all()
    assert down[-1].all()


@pytest.mark.parametrize("height", [64, 512, 4096])
def test_a_limit_means_the_same_surface_at_every_resolution(height):
    angle = np.pi / height
    for degrees, kept in ((79.9, True), (80.1, False)):
        rise = np.tan(np.radians(degrees)) * np.tan(angle / 2)
        assert bool(within_incidence(np.array(1.0), np.array((1 + rise) / (1 - rise)), angle, np.radians(80), 0)) is kept


def test_the_unit_of_distance_does_not_matter():
    depth = np.random.default_rng(0).uniform(1, 3, (32, 64)).astype(np.float32)
    for one, other in zip(joined(depth, everywhere(depth)), joined(depth * 1000, everywhere(depth)), strict=True):
        np.testing.assert_array_equal(one, other)


def test_what_is_not_valid_joins_and_tears_nothing():
    depth = np.full((32, 64), 3.0, np.float32)
    depth[10:20, 10:20] = np.nan
    valid = np.isfinite(depth)
    right, down = joined(depth, valid)
    np.testing.assert_array_equal(right, valid & np.roll(valid, -1, axis=1))
    np.testing.assert_array_equal(down[1:-1], valid[1:] & valid[:-1])
    assert not torn(depth, valid).any()


def test_a_right_angle_tears_nothing_and_others_are_refused():
    depth = np.random.default_rng(0).uniform(1, 100, (32, 64))
    assert not torn(depth, everywhere(depth), np.pi / 2).any()
    for limit, tolerance in ((2.0, 0.01), (-0.1, 0.01), (1.0, -1.0), (np.nan, 0.0)):
        with pytest.raises(ValueError, match="0 to 90 degrees"):
            joined(depth, everywhere(depth), limit, tolerance)
    with pytest.raises(ValueError, match="even number of columns"):
        joined(depth[:, 1:], everywhere(depth[:, 1:]))


@pytest.mark.parametrize("noise", [0.005, 0.02])
def test_a_floor_that_wavers_everywhere_is_hardly_torn_and_a_pillar_still_is(noise):
    generator = np.random.default_rng(0)
    depth, _ = box(erp_directions(256, 512))
    pillar = np.zeros(depth.shape, bool)
    pillar[60:200, 100:120] = True
    depth = np.where(pillar, 0.5 * depth, depth) * np.exp(generator.normal(0, noise, depth.shape))
    right, down = joined(depth, everywhere(depth))
    edge = pillar != np.roll(pillar, -1, axis=1)
    assert (~right & ~edge).mean() < 0.02
    assert (~down[1:-1] & (pillar[1:] == pillar[:-1])).mean() < 0.02
    assert not right[edge].any()


def test_the_tolerance_is_the_least_one_on_planes_and_grows_with_noise_up_to_its_limit():
    depth, _ = box(erp_directions(256, 512))
    assert np.mean(tolerances(depth, everywhere(depth)) == np.float32(0.01)) > 0.95
    wavering = depth * np.exp(np.random.default_rng(0).normal(0, 0.02, depth.shape))
    assert 0.04 < np.median(tolerances(wavering, everywhere(depth))) < 0.1
    wild = np.random.default_rng(0).uniform(1, 9, depth.shape)
    assert tolerances(wild, everywhere(depth)).max() == np.float32(0.1)
    assert (tolerances(depth, np.zeros(depth.shape, bool)) == np.float32(0.01)).all()
