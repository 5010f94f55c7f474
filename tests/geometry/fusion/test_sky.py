"""Sky has no part in fusion: not in the scales of views, their bends, their means, nor in what is said to agree."""

from dataclasses import replace

import numpy as np
import pytest

from geometry import layouts
from geometry.directions import erp_directions
from geometry.fields import Field
from geometry.fusion.fuse import FusionSettings, fuse
from geometry.fusion.sharpening import sharpened
from geometry.fusion.sky import sky_class, without_sky
from tests.geometry.fusion.test_fuse import area_mean, depth_field, label_field, normals_field, room

METHODS = ("single", "blend", "align", "gradient")
CAMERAS = layouts.icosahedron_vertices(96)
HEIGHT, WIDTH = 96, 192
SKY = 15
"""Class that means sky."""


def is_sky(directions: np.ndarray) -> np.ndarray:
    """A courtyard: the room without its ceiling, under the sky."""
    return directions[..., 1] < -0.35


@pytest.fixture(scope="module")
def views() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """What perfect views say (N, h, w): distance, normals and class of the land, and the sky 80 m along each view's axis."""
    depth, normals, labels = (np.stack(one) for one in zip(*(room(camera.directions()) for camera in CAMERAS)))
    sky = np.stack([is_sky(camera.directions()) for camera in CAMERAS])
    far = np.stack([80 / camera.rays()[..., 2] for camera in CAMERAS])
    return np.where(sky, far, depth), normals, np.where(sky, SKY, labels), sky


def sky_field(sky: np.ndarray) -> Field:
    return Field("sky", sky.astype(np.float32), np.ones(sky.shape, bool), "probability")


def scales(seed: int) -> np.ndarray:
    logs = np.random.default_rng(seed).normal(0, 0.1, len(CAMERAS))
    return np.exp(logs - np.median(logs))[:, None, None]


def error(labels: dict[str, np.ndarray]) -> float:
    """AbsRel of the land after one factor."""
    directions = erp_directions(HEIGHT, WIDTH)
    ratio = np.where(labels["depth_valid"], labels["depth"] / room(directions)[0], np.nan)
    off = np.abs(ratio / np.nanmedian(ratio) - 1)
    assert labels["depth_valid"][directions[..., 1] > -0.3].all()
    return area_mean(np.nan_to_num(off))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("told", ["sky", "semantics"])
def test_perfect_land_under_a_sky_at_80_metres_stays_perfect(method, told, views):
    depth, _, labels, sky = views
    others = {"sky": sky_field(sky)} if told == "sky" else {"semantics": label_field(labels)}
    found = fuse({"depth": depth_field(depth), **others}, CAMERAS, HEIGHT, WIDTH, FusionSettings(depth=method, sky_class=SKY))
    assert error(found) < 0.002
    assert not found["depth_valid"][found["sky"]].any()
    assert not found["depth_consistency"][found["sky"]].any()
    assert np.median(found["depth_consistency"][found["depth_consistency"] > 0]) == 255


@pytest.mark.parametrize("method", ["align", "gradient"])
@pytest.mark.parametrize("unit", ["metre", "scale"])
def test_scales_of_views_vanish_under_the_sky(method, unit, views):
    depth, _, _, sky = views
    fields = {"depth": depth_field(depth * scales(1), unit), "sky": sky_field(sky)}
    assert error(fuse(fields, CAMERAS, HEIGHT, WIDTH, FusionSettings(depth=method))) < 0.003


@pytest.mark.parametrize("method", METHODS)
def test_affine_inverse_distances_are_aligned_by_the_land(method, views):
    depth, _, _, sky = views
    rng = np.random.default_rng(2)
    factor, offset = rng.uniform(0.8, 1.2, (2, len(CAMERAS), 1, 1))
    cosine = np.stack([camera.rays()[..., 2] for camera in CAMERAS])
    # The network says nought of the sky; its offsets bring that to all kinds of distances, some behind the camera.
    inverse = (np.where(sky, 0, 1 / depth) - 0.02 * (offset - 1) * cosine) / factor
    fields = {"depth": depth_field(inverse, "inverse"), "sky": sky_field(sky)}
    assert error(fuse(fields, CAMERAS, HEIGHT, WIDTH, FusionSettings(depth=method))) < 0.004


def test_what_sky_says_changes_no_pixel_of_land(views):
    depth, normals, _, sky = views
    settings = FusionSettings(depth="align")

    def fused(distance: np.ndarray, facing: np.ndarray) -> dict[str, np.ndarray]:
        fields = {"depth": depth_field(distance), "normals": normals_field(facing), "sky": sky_field(sky)}
        return fuse(fields, CAMERAS, HEIGHT, WIDTH, settings)

    wild = np.random.default_rng(3).normal(size=normals.shape)
    one = fused(depth, normals)
    other = fused(np.where(sky, 1e4, depth), np.where(sky[..., None], wild, normals))
    for name, array in one.items():
        np.testing.assert_array_equal(array, other[name], err_msg=name)


def test_a_blurred_edge_to_the_sky_goes_back_to_the_land():
    """A pixel of land that a network drew more than half way to the sky takes the land's distance, never the sky's."""
    x = np.arange(64)
    ramp = 10 * 8 ** np.interp(x, [27, 32], [0, 1])
    soft = np.broadcast_to(ramp, (1, 64, 64))
    land = np.broadcast_to(x < 31, soft.shape)
    mended = sharpened(soft.astype(np.float32), land, 0.1, np.ones(soft.shape, bool))
    np.testing.assert_allclose(mended[0, :, :30], 10, rtol=0.02)
    assert mended[0, :, 30].max() < 11


def test_masks_follow_each_views_own_sky(views):
    depth, normals, labels, sky = views
    fields = {"depth": depth_field(depth), "normals": normals_field(normals), "semantics": label_field(labels)}
    np.testing.assert_array_equal(without_sky(fields, SKY)["depth"].valid, ~sky)
    np.testing.assert_array_equal(without_sky(fields, SKY)["normals"].valid, ~sky)
    assert without_sky(fields, None)["depth"].valid.all()
    unknown = replace(sky_field(sky), values=np.full(sky.shape, np.nan, np.float32))
    assert without_sky({**fields, "sky": unknown}, SKY)["depth"].valid.all()
    assert without_sky(fields, SKY)["semantics"] is fields["semantics"]


@pytest.mark.parametrize(
    ("classes", "expected"),
    [
        (("wall", "sky"), 1),
        (("Sky", "sky"), 0),
        (("road", "sky-other-merged"), 1),
        (("tree", "sky, heavens"), 1),
        (("skyscraper", "skylight", "ski"), None),
        ((), None),
    ],
)
def test_the_class_that_means_sky_is_known_by_its_name(classes, expected):
    assert sky_class(classes) == expected
