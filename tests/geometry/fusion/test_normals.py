"""A depth that is made to agree with its normals comes nearer to the truth, and keeps its scale."""

import numpy as np
import pytest

from geometry import layouts
from geometry.directions import erp_area_weights, erp_directions
from geometry.fields import Field
from geometry.fusion.fuse import FusionSettings, fuse
from geometry.fusion.normals import normal_correction
from geometry.surfaces.gradients import without_jumps
from metrics.depth_normals import depth_normal_figures
from tests.geometry.fusion.test_fuse import area_mean, depth_field
from tests.geometry.surfaces.test_auxiliaries import box, everywhere

HEIGHT, WIDTH = 64, 128
AREA = np.broadcast_to(erp_area_weights(HEIGHT)[:, None], (HEIGHT, WIDTH))


@pytest.fixture(scope="module")
def truth() -> tuple[np.ndarray, np.ndarray]:
    depth, normals = box(erp_directions(HEIGHT, WIDTH))
    return depth.astype(np.float32), normals.astype(np.float32)


def sure(depth: np.ndarray) -> np.ndarray:
    return np.ones(depth.shape, np.float32)


def bent(depth: np.ndarray, size: float) -> np.ndarray:
    """A slow error over the seam and both poles."""
    x, y, z = np.moveaxis(erp_directions(*depth.shape), -1, 0)
    return (depth * np.exp(size * (np.sin(4 * x + 1) + np.sin(3 * y * z) - np.cos(5 * z)))).astype(np.float32)


def relative_error(depth: np.ndarray, true: np.ndarray) -> float:
    ratio = depth / true
    return area_mean(np.abs(ratio / np.median(ratio) - 1))


def test_true_normals_take_a_slow_error_out(truth):
    depth, normals = truth
    wrong = bent(depth, 0.05)
    mended = wrong * normal_correction(wrong, everywhere(depth.shape), normals, sure(depth), 0.1)
    assert relative_error(mended, depth) < relative_error(wrong, depth) / 2


def test_a_depth_that_agrees_already_is_left_alone(truth):
    depth, normals = truth
    factor = normal_correction(depth, everywhere(depth.shape), normals, sure(depth), 0.1)
    np.testing.assert_allclose(factor, 1, atol=0.01)  # at creases half a pixel belongs to the other wall


def test_the_scale_is_kept(truth):
    depth, normals = truth
    every = everywhere(depth.shape)
    wrong = bent(depth, 0.05)
    factor = normal_correction(wrong, every, normals, sure(depth), 0.1)
    assert abs(np.average(np.log(factor), weights=AREA)) < 1e-6
    np.testing.assert_allclose(normal_correction(7 * wrong, every, normals, sure(depth), 0.1), factor, rtol=1e-4)


def test_turning_by_columns_commutes(truth):
    depth, normals = truth
    angle = 2 * np.pi * 40 / WIDTH
    turn = np.array([[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]], np.float32)
    every, wrong = everywhere(depth.shape), bent(depth, 0.05)
    still = normal_correction(wrong, every, normals, sure(depth), 0.1)
    moved = normal_correction(np.roll(wrong, 40, axis=1), every, np.roll(normals, 40, axis=1) @ turn.T, sure(depth), 0.1)
    np.testing.assert_allclose(moved, np.roll(still, 40, axis=1), rtol=1e-4)


def test_a_jump_is_not_smoothed():
    # A sphere with a raised patch: its normals are those of spheres on both sides, and say nothing of the jump.
    directions = erp_directions(128, 256)
    raised = directions @ [0, 0, 1.0] > 0.9
    every = everywhere(raised.shape)
    for jump in (0.08, 0.5):
        depth = np.where(raised, 2 * (1 - jump), 2).astype(np.float32)
        factor = normal_correction(depth, every, -directions.astype(np.float32), sure(depth), 0.1)
        np.testing.assert_allclose(factor, 1, atol=1e-3)


def test_nothing_is_asked_where_normals_or_depth_are_not_valid(truth):
    depth, normals = truth
    every = everywhere(depth.shape)
    wrong = bent(depth, 0.05)
    np.testing.assert_array_equal(normal_correction(wrong, every, 0 * normals, sure(depth), 0.1), 1)
    np.testing.assert_array_equal(normal_correction(wrong, every, normals, 0 * sure(depth), 0.1), 1)
    hole = every.copy()
    hole[20:40, 30:60] = False
    poison = np.where(hole, wrong, np.nan).astype(np.float32)
    assert np.isfinite(normal_correction(poison, hole, normals, sure(depth), 0.1)).all()


def wrong_fields(seed: int) -> tuple[dict[str, Field], list]:
    """Views of the box whose distances have slow errors of 4 %, and whose normals are off by noise of 8 degrees an axis."""
    rng = np.random.default_rng(seed)
    cameras = layouts.icosahedron_vertices(48)
    seen = [box(camera.directions()) for camera in cameras]
    y, x = np.mgrid[-1:1:48j, -1:1:48j]
    waves = [
        np.sin(rng.uniform(0.5, 2) * np.pi * (x * np.cos(a) + y * np.sin(a)) + rng.uniform(0, 6)) for a in rng.uniform(0, 6, 12)
    ]
    depth = np.stack([one for one, _ in seen]) * np.exp(0.04 * np.stack(waves))
    normals = np.stack([one for _, one in seen])
    normals = normals + np.tan(np.radians(8)) * rng.normal(size=normals.shape)
    normals /= np.linalg.norm(normals, axis=-1, keepdims=True)
    told = Field("normals", normals.astype(np.float32), np.ones(depth.shape, bool), "unit", "world")
    return {"depth": depth_field(depth), "normals": told}, cameras


def test_enforcing_lowers_error_and_angle_with_noisy_normals(truth):
    gains = []
    for seed in range(6):
        fields, cameras = wrong_fields(seed)
        plain, mended = (
            fuse(fields, cameras, HEIGHT, WIDTH, FusionSettings(depth="align", enforce_normals=enforce))
            for enforce in (False, True)
        )
        angles = [depth_normal_figures(one, 0.1)["depth_normal_degrees"] for one in (plain, mended)]
        gains.append(
            (relative_error(plain["depth"], truth[0]) - relative_error(mended["depth"], truth[0]), angles[0] - angles[1])
        )
        assert all((plain[name] == mended[name]).all() for name in plain if name != "depth")
    drawn = np.array(gains)[np.random.default_rng(0).integers(6, size=(1000, 6))].mean(axis=1)
    assert (np.percentile(drawn, 2.5, axis=0) > 0).all()


def test_without_normals_there_is_nothing_to_enforce():
    fields, cameras = wrong_fields(0)
    fields.pop("normals")
    depths = [fuse(fields, cameras, 32, 64, FusionSettings(enforce_normals=one))["depth"] for one in (False, True)]
    np.testing.assert_array_equal(*depths)


def test_jumps_shrink_and_slopes_stay():
    step = np.pi / 32
    right = np.full((32, 64), 0.01 * step) * np.cos((np.arange(32) - 15.5) * step)[:, None]
    down = np.full((31, 64), 0.01 * step)
    down[10, 10] = 5 * step
    kept = without_jumps(right, down, 0.5)
    np.testing.assert_allclose(kept[0], right, rtol=1e-3)
    np.testing.assert_allclose(np.delete(kept[1].ravel(), 650), np.delete(down.ravel(), 650), rtol=1e-3)
    assert abs(kept[1][10, 10]) < 1e-3 * down[10, 10]
    np.testing.assert_allclose(without_jumps(0 * right, down * 0 + 0.5 * step, 0.5)[1], 0.125 * step)
