"""What every method of depth fusion keeps, and what only some of them mend."""

from dataclasses import replace

import numpy as np
import pytest

from geometry import layouts
from geometry.directions import erp_area_weights, erp_directions
from geometry.fields import Field
from geometry.fusion import depth as fusing
from geometry.fusion.fuse import FusionSettings, fuse
from geometry.fusion.gradient import gradient_correction
from tests.geometry.fusion.test_fuse import area_mean, depth_field, room

METHODS = ("single", "blend", "align", "gradient")
CAMERAS = layouts.icosahedron_vertices(96)
HEIGHT, WIDTH = 96, 192


def fused(field: Field, method: str, **others: Field) -> dict[str, np.ndarray]:
    return fuse({"depth": field, **others}, CAMERAS, HEIGHT, WIDTH, FusionSettings(depth=method))


def scales(seed: int = 0) -> np.ndarray:
    logs = np.random.default_rng(seed).normal(0, 0.1, len(CAMERAS))
    return np.exp(logs - np.median(logs))[:, None, None]


@pytest.fixture(scope="module")
def truth() -> np.ndarray:
    return np.stack([room(camera.directions())[0] for camera in CAMERAS])


@pytest.fixture(scope="module")
def expected() -> np.ndarray:
    return room(erp_directions(HEIGHT, WIDTH))[0]


@pytest.mark.parametrize("method", METHODS)
def test_truth_in_gives_truth_out(method, truth, expected):
    found = fused(depth_field(truth), method)
    assert found["depth_valid"].all()
    error = np.abs(found["depth"] / expected - 1)
    assert area_mean(error) < 0.005
    assert np.median(error) < 5e-4


@pytest.mark.parametrize("method", METHODS)
def test_a_common_factor_passes_through(method, truth):
    one, seven = fused(depth_field(truth * scales()), method), fused(depth_field(7 * truth * scales()), method)
    np.testing.assert_allclose(seven["depth"], 7 * one["depth"], rtol=1e-4)


@pytest.mark.parametrize("method", ["align", "gradient"])
def test_the_scales_of_views_vanish(method):
    found = fused(depth_field(3 * np.ones((12, 96, 96)) * scales()), method)
    np.testing.assert_allclose(found["depth"], 3, rtol=2e-6)


@pytest.mark.parametrize("method", ["single", "blend"])
def test_the_other_methods_leave_metric_views_as_they_are(method):
    found = fused(depth_field(3 * np.ones((12, 96, 96)) * scales()), method)
    assert np.std(np.log(found["depth"])) > 0.02


def test_single_is_the_nearest_value_of_one_view():
    values = 1 + np.arange(12.0)[:, None, None] * np.ones((12, 96, 96))
    found = fused(depth_field(values), "single")["depth"]
    nearest = np.abs(found[..., None] - (1 + np.arange(12)))
    assert nearest.min(axis=-1).max() < 1e-5
    assert len(np.unique(nearest.argmin(axis=-1))) == 12


@pytest.mark.parametrize("method", METHODS)
def test_the_same_input_gives_the_same_bytes(method, truth):
    field = depth_field(truth * scales())
    first, again = fused(field, method), fused(field, method)
    assert all(first[name].tobytes() == again[name].tobytes() for name in first)


@pytest.mark.parametrize("method", METHODS)
def test_what_is_not_valid_or_sky_never_leaks(method, truth, expected):
    up = np.stack([camera.directions()[..., 1] < -0.5 for camera in CAMERAS])
    holes = np.random.default_rng(3).random(truth.shape) < 0.1
    poison = np.where(up, 9999.0, np.where(holes, np.nan, truth))
    sky = Field("sky", up.astype(np.float32), np.ones(up.shape, bool), "probability")
    found = fused(depth_field(poison, valid=~holes), method, sky=sky)
    assert np.isfinite(found["depth"]).all()
    assert not found["depth"][found["sky"]].any()
    error = np.abs(found["depth"] / expected - 1)[found["depth_valid"] & (erp_directions(HEIGHT, WIDTH)[..., 1] > -0.45)]
    assert np.median(error) < 2e-3
    assert error.mean() < 0.02


def wrong_views(truth: np.ndarray, seed: int, scaled: bool = True) -> Field:
    """A slow bias of 3 % in each view, and a scale of 10 %."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[-1:1:96j, -1:1:96j]
    bias = np.stack(
        [np.sin(rng.uniform(0.5, 2) * np.pi * (x * np.cos(a) + y * np.sin(a)) + rng.uniform(0, 6)) for a in rng.uniform(0, 6, 12)]
    )
    bias -= 0 if scaled else bias.mean(axis=(1, 2), keepdims=True)
    return depth_field(truth * (scales(seed) if scaled else 1) * np.exp(0.04 * bias))


def test_align_and_gradient_halve_the_error_of_blend(truth, expected):
    def error(method: str, seed: int) -> float:
        ratio = fused(wrong_views(truth, seed), method)["depth"] / expected
        return area_mean(np.abs(ratio / np.median(ratio) - 1))

    blend, align, gradient = (np.array([error(method, seed) for seed in range(8)]) for method in ("blend", "align", "gradient"))
    drawn = np.random.default_rng(0).integers(8, size=(1000, 8))
    for mended in (align, gradient):
        assert np.percentile((blend / 2 - mended)[drawn].mean(axis=1), 2.5) > 0


def test_views_of_one_scale_are_not_given_others_to_fit_their_waves(truth, expected):
    def error(method: str) -> float:
        said = [fused(wrong_views(truth, seed, scaled=False), method)["depth"] for seed in range(8)]
        return float(np.mean([area_mean(np.abs(one / expected - 1)) for one in said]))

    assert error("align") < 1.05 * error("blend")  # 1.21 if scales are fitted whatever the overlaps say of them


def test_the_correction_holds_the_mean_and_leaves_depth_edges_alone(truth, expected):
    field = wrong_views(truth, 1)
    align, gradient = fused(field, "align")["depth"], fused(field, "gradient")["depth"]
    change = np.log(gradient / align)
    assert abs(np.average(change, weights=np.broadcast_to(erp_area_weights(HEIGHT)[:, None], change.shape))) < 1e-6
    edge = np.abs(np.diff(np.log(expected), axis=1)) > 0.3
    assert edge.sum() > 50
    assert np.abs(np.diff(change, axis=1))[edge].max() < 0.03


def test_turning_the_views_by_columns_turns_the_depth(truth):
    field = wrong_views(truth, 2)
    turned = [replace(c, rotation=tuple((_about_y(2 * np.pi * 24 / WIDTH) @ c.matrix).ravel())) for c in CAMERAS]
    settings = FusionSettings(depth="gradient")
    still = fuse({"depth": field}, CAMERAS, HEIGHT, WIDTH, settings)["depth"]
    moved = fuse({"depth": field}, turned, HEIGHT, WIDTH, settings)["depth"]
    difference = np.abs(np.log(moved / np.roll(still, 24, axis=1)))
    assert np.percentile(difference, 99) < 1e-3  # a direction on a border between pixels may fall to either side


def _about_y(angle: float) -> np.ndarray:
    return np.array([[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]])


def test_nothing_to_correct_is_no_correction():
    from geometry.resampling.backproject import backprojection

    views = [backprojection(camera, 48, 96) for camera in CAMERAS]
    same = np.full((12, 96, 96), 2, np.float32)
    depth, valid = np.full((48, 96), 2, np.float32), np.ones((48, 96), bool)
    found = gradient_correction(same, np.ones_like(same), views, depth, valid, 0.1, 4.0)
    np.testing.assert_array_equal(found, 1)


def gather_all(hits, pixels, count):
    """What views say at pixels, one row for every view of the band: as it was before rows were shared."""
    row, column = np.divmod(pixels, count.shape[1])
    logs, weights = np.zeros((2, len(hits), len(pixels)), np.float32)
    for k, (box, log, weight) in enumerate(hits):
        inside = np.flatnonzero((column >= box.columns.start) & (column < box.columns.stop))
        at = (row[inside], column[inside] - box.columns.start)
        logs[k, inside], weights[k, inside] = log[at], weight[at]
    return logs, weights


@pytest.mark.parametrize("share", [0, 0.3])
def test_views_that_do_not_see_a_pixel_change_no_bit_where_views_disagree(share, truth, monkeypatch):
    generator, torn = np.random.default_rng(0), []
    distance = truth * np.exp(generator.normal(0, 0.2, truth.shape)).astype(np.float32)
    field = depth_field(distance, valid=generator.random(truth.shape) >= share)
    own = fusing._gather

    def shared(hits, pixels, count):
        found = own(hits, pixels, count)
        torn.append((len(found[0]), len(hits), len(pixels)))
        return found

    monkeypatch.setattr(fusing, "_gather", shared)
    now = fused(field, "blend")
    monkeypatch.setattr(fusing, "_gather", gather_all)
    for name, array in fused(field, "blend").items():
        np.testing.assert_array_equal(now[name].view(np.uint8), array.view(np.uint8), err_msg=name)
    assert sum(pixels for _, _, pixels in torn) > HEIGHT * WIDTH / 4
    assert all(rows < hits for rows, hits, _ in torn)
