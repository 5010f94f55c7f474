"""Depth adapters against the network called directly, and PIL."""

import numpy as np
import pytest
import torch
from transformers.models.zoedepth.image_processing_pil_zoedepth import ZoeDepthImageProcessorPil

from models.teachers import load_teacher
from models.teachers.postprocess import depth_field
from tests.models.oracles import resized
from tests.models.tiny import SIZE, cameras, inputs, patches, save


def interpolated(values, places):
    """(n, n) values at rows and columns in between, linearly."""
    rows = np.stack([np.interp(places, np.arange(len(values)), column) for column in values.T], axis=1)
    return np.stack([np.interp(places, np.arange(len(values)), row) for row in rows])


def load(folder, **settings):
    return load_teacher("transformers", {"model": str(folder), **settings}, "cpu")


@pytest.mark.parametrize(
    ("name", "unit"),
    [
        ("depth_anything_relative", "inverse"),
        ("depth_anything_metric", "metre"),
        ("dpt_depth", "inverse"),
        ("glpn", "metre"),
    ],
)
def test_depth_is_the_networks_at_the_patches_size(name, unit, tmp_path):
    side = SIZE.get(name, 64)
    network, rgb = save(name, tmp_path), patches(2, side, side)
    with torch.inference_mode():
        raw = network(inputs(rgb, side)).predicted_depth.numpy()
    expected = np.stack([resized(one, side, side) if unit == "inverse" else 1 / resized(1 / one, side, side) for one in raw])

    teacher = load(tmp_path, **({"depth_unit": unit} if name == "dpt_depth" else {}))
    depth = teacher(rgb, cameras(2, side, side), {})["depth"]

    assert (teacher.fields, teacher.classes) == (("depth",), ())
    assert (depth.unit, depth.frame, depth.values.dtype, depth.values.shape) == (unit, "axis", np.float32, (2, side, side))
    assert depth.valid.all()
    assert depth.values.std() > 0.01 * depth.values.mean()
    np.testing.assert_allclose(depth.values, expected, rtol=2e-3, atol=1e-3 * float(np.abs(expected).max()))


def test_depth_comes_back_at_the_patches_size_whatever_the_networks(tmp_path):
    network, rgb = save("depth_anything_relative", tmp_path), patches(1, 75, 75)
    with torch.inference_mode():
        raw = network(inputs(rgb, 56)).predicted_depth[0].numpy()
    depth = load(tmp_path)(rgb, cameras(1, 75, 75), {})["depth"]
    assert depth.values.shape == (1, 75, 75)
    np.testing.assert_allclose(depth.values[0], resized(raw, 75, 75), atol=0.01 * raw.max())


def test_depthpro_uses_the_cameras_field_of_view(tmp_path):
    network, rgb = save("depth_pro", tmp_path), patches(2, 64, 64)
    views = [*cameras(1, fov_degrees=60), *cameras(1, fov_degrees=100)]
    with torch.inference_mode():
        canonical = network(inputs(rgb, 64)).predicted_depth.double().numpy()
    # Focal length in units of the image's width, from each view's angle.
    focal = np.array([0.5 / np.tan(np.radians(30)), 0.5 / np.tan(np.radians(50))])[:, None, None]
    inverse = np.stack([resized(one, 64, 64) for one in canonical / focal])

    depth = load(tmp_path)(rgb, views, {})["depth"]

    assert (depth.unit, depth.frame) == ("metre", "axis")
    near = inverse > 1e-2
    assert near.mean() > 0.2
    np.testing.assert_allclose(depth.values[near], 1 / inverse[near], rtol=2e-2)


def test_zoedepth_cuts_its_border_off(tmp_path):
    network, rgb = save("zoedepth", tmp_path), patches(1, 50, 50)
    processor = ZoeDepthImageProcessorPil(
        size={"height": 64, "width": 64}, ensure_multiple_of=32, image_mean=[0.4, 0.5, 0.6], image_std=[0.2, 0.25, 0.3]
    )
    with torch.inference_mode():
        raw = network(processor(images=list(rgb), return_tensors="pt")["pixel_values"].float()).predicted_depth[0].numpy()
    border = int(np.sqrt(50 / 2) * 3)
    # Its input is made with the corners' centres held, so its answer goes back so.
    places = np.linspace(0, 63, 50 + 2 * border)[border:-border]
    expected = 1 / interpolated(1 / raw, places)

    depth = load(tmp_path)(rgb, cameras(1, 50, 50), {})["depth"]

    assert (depth.unit, depth.values.shape) == ("metre", (1, 50, 50))
    np.testing.assert_allclose(depth.values[0], expected, rtol=2e-3)


def test_batches_and_repetition_change_nothing(tmp_path):
    save("depth_anything_metric", tmp_path)
    rgb, views = patches(5, 56, 56), cameras(5, 56, 56)
    whole, split = load(tmp_path), load(tmp_path, batch_size=2)
    first = whole(rgb, views, {})["depth"].values
    assert np.array_equal(first, whole(rgb, views, {})["depth"].values)
    np.testing.assert_allclose(split(rgb, views, {})["depth"].values, first, rtol=1e-4)


def test_depth_max_makes_the_far_invalid(tmp_path):
    save("glpn", tmp_path)
    rgb, views = patches(1), cameras(1)
    free = load(tmp_path)(rgb, views, {})["depth"]
    limit = float(np.median(free.values))
    limited = load(tmp_path, depth_max=limit)(rgb, views, {})["depth"]
    assert np.array_equal(limited.valid, free.values < limit)
    assert not limited.values[~limited.valid].any()


def test_depth_unit_can_be_stated(tmp_path):
    save("dpt_depth", tmp_path)
    assert load(tmp_path, depth_unit="metre")(patches(1, 56, 56), cameras(1, 56, 56), {})["depth"].unit == "metre"


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_stays_near(dtype, tmp_path):
    save("glpn", tmp_path)
    rgb, views = patches(1), cameras(1)
    full = load(tmp_path)(rgb, views, {})["depth"].values
    half = load(tmp_path, dtype=dtype)(rgb, views, {})["depth"].values
    assert half.dtype == np.float32
    assert 0 < np.abs(half / full - 1).mean() < 0.05


def test_a_plane_stays_a_plane_when_enlarged():
    # z of a tilted plane: its inverse is linear in the image, so bilinear interpolation of z itself would bend it.
    small = 1 / (0.1 + 0.02 * (np.arange(16) + 0.5))
    large = 1 / (0.1 + 0.02 * (np.arange(64) + 0.5) / 4)
    got = depth_field(torch.from_numpy(np.tile(small, (16, 1)))[None], (64, 64), "metre").values[0, :, 2:-2]
    np.testing.assert_allclose(got, np.tile(large[2:-2], (64, 1)), rtol=1e-5)


def test_pixels_next_to_a_bad_depth_are_invalid_and_others_untouched():
    values = torch.full((1, 8, 8), 3.0)
    values[0, 2, 2], values[0, 6, 6] = float("nan"), -1.0
    depth = depth_field(values, (16, 16), "metre")
    assert not depth.valid[0, 4:6, 4:6].any()
    assert not depth.valid[0, 12:14, 12:14].any()
    assert depth.valid[0, :3].all()
    np.testing.assert_allclose(depth.values[depth.valid], 3, rtol=1e-6)
    assert not depth.values[~depth.valid].any()


@pytest.mark.parametrize("level", [1e-6, 1e-5, 1.0, 3e4, 1e6])
def test_distances_of_any_scale_are_resized_alike(level):
    """A scale of its own is any number: nothing is near or far but beside the view's other distances."""
    values = torch.from_numpy(np.random.default_rng(0).uniform(0.5, 20, (2, 1, 8, 8)))
    values[1, :, 2] = 0
    one, other = (depth_field(scale * values, (16, 16), "scale", "ray") for scale in (1.0, level))
    np.testing.assert_array_equal(one.valid, other.valid)
    assert one.valid[0].all()
    np.testing.assert_allclose(other.values, level * one.values, rtol=1e-5)
