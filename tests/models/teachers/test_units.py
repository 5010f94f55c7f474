"""What a depth network's numbers are: by the head's own formula with planted weights, by its config, and by ours."""

import numpy as np
import pytest
import torch
import transformers as t

from geometry.fields import canonical
from models.teachers import load_teacher
from models.teachers.units import depth_unit, told_by
from tests.models.tiny import NECK, SIZE, cameras, dinov2, dpt_depth, patches, save

CHOICES = r"metre, scale .* or inverse"


def planted(name, folder, bias, change=None):
    """Save a network whose last layer says ``bias`` everywhere, whatever it sees."""
    model = save(name, folder)
    with torch.no_grad():
        heads = {
            "depth_anything": lambda: model.head.conv3,
            "dpt": lambda: model.head.head[4],
            "glpn": lambda: model.head.head.convolution if hasattr(model.head.head, "convolution") else model.head.head[-1],
            "depth_pro": lambda: model.head.layers[-2],
        }
        last = heads[model.config.model_type]()
        last.weight.zero_()
        last.bias.fill_(bias)
    if change:
        change(model.config)
    model.save_pretrained(folder)
    return model


def said(folder, side, **settings):
    teacher = load_teacher("transformers", {"model": str(folder), **settings}, "cpu")
    depth = teacher(patches(1, side, side), cameras(1, side, side), {})["depth"]
    assert depth.valid.all()
    assert np.ptp(depth.values) < 1e-4 * depth.values.max()
    return depth.unit, float(depth.values.mean())


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


@pytest.mark.parametrize(
    ("name", "unit", "formula"),
    [
        ("depth_anything_metric", "metre", lambda bias: 20 * sigmoid(bias)),
        ("depth_anything_relative", "inverse", lambda bias: 20 * bias),
        ("glpn", "metre", lambda bias: 10 * sigmoid(bias)),
    ],
)
def test_unit_and_value_follow_the_heads_formula(name, unit, formula, tmp_path):
    side = SIZE.get(name, 64)
    for index, bias in enumerate((0.3, 1.2)):
        planted(name, tmp_path / str(index), bias)
        found, value = said(tmp_path / str(index), side)
        assert found == unit
        np.testing.assert_allclose(value, formula(bias), rtol=1e-3)


def test_depthpro_says_a_known_cameras_inverse_distance(tmp_path):
    planted("depth_pro", tmp_path, 0.4)
    focal = 0.5 / np.tan(np.pi / 4)  # in widths of the image, of a view of 90 degrees
    unit, metres = said(tmp_path, 64)
    assert unit == "metre"
    np.testing.assert_allclose(metres, focal / 0.4, rtol=1e-3)
    unit, inverse = said(tmp_path, 64, depth_unit="inverse")
    assert unit == "inverse"
    np.testing.assert_allclose(inverse, 0.4 / focal, rtol=1e-3)


@pytest.mark.parametrize("unit", ["metre", "scale", "inverse"])
def test_a_dpt_is_what_ours_says_since_its_config_does_not(unit, tmp_path):
    # MiDaS's DPT gives inverse distances, DINOv2's DPT for NYU metres; both are relu of the last layer.
    planted("dpt_depth", tmp_path, 2.5)
    with pytest.raises(ValueError, match=f"depth_unit: the config .* does not tell .* set depth_unit .* to {CHOICES}"):
        said(tmp_path, 56)
    found, value = said(tmp_path, 56, depth_unit=unit)
    assert found == unit
    np.testing.assert_allclose(value, 2.5, rtol=1e-5)


def test_a_sigmoid_that_nothing_stretches_is_not_metres(tmp_path):
    planted("depth_anything_metric", tmp_path, 0.3, lambda config: setattr(config, "max_depth", 1))
    with pytest.raises(ValueError, match=f"depth_unit: .* does not tell .* {CHOICES}"):
        said(tmp_path, 56)
    assert said(tmp_path, 56, depth_unit="scale")[0] == "scale"


@pytest.mark.parametrize(
    ("name", "stated"),
    [
        ("depth_anything_metric", "inverse"),
        ("depth_anything_relative", "metre"),
        ("depth_anything_relative", "scale"),
        ("glpn", "inverse"),
        ("zoedepth", "inverse"),
        ("tipsv2", "inverse"),
    ],
)
def test_a_unit_that_contradicts_the_config_is_refused(name, stated, tmp_path):
    save(name, tmp_path)
    with pytest.raises(
        ValueError, match=rf"depth_unit: is set to {stated}, but the config .* gives (metre|inverse); drop the key"
    ):
        load_teacher("transformers", {"model": str(tmp_path), "depth_unit": stated}, "cpu")


@pytest.mark.parametrize("name", ["depth_anything_metric", "glpn", "zoedepth", "tipsv2", "depth_pro"])
def test_metres_may_be_claimed_as_less(name, tmp_path):
    side = SIZE.get(name, 64)
    save(name, tmp_path)
    rgb, views = patches(1, side, side), cameras(1, side, side)
    metres = load_teacher("transformers", {"model": str(tmp_path)}, "cpu")(rgb, views, {})["depth"]
    scale = load_teacher("transformers", {"model": str(tmp_path), "depth_unit": "scale"}, "cpu")(rgb, views, {})["depth"]
    assert (metres.unit, scale.unit) == ("metre", "scale")
    # Beside what is nearer than a millimetre, which is cut of metres alone: random networks say a lot of that.
    assert np.isclose(metres.values, scale.values, rtol=1e-3).mean() > 0.9


def test_every_depth_class_of_transformers_is_told_or_must_be_stated():
    told = {
        "depth_anything": t.DepthAnythingConfig(depth_estimation_type="metric", max_depth=80),
        "depth_pro": t.DepthProConfig(),
        "glpn": t.GLPNConfig(),
        "tipsv2_dpt": t.Tipsv2DptConfig(),
        "zoedepth": t.ZoeDepthConfig(),
    }
    unknown = {"dpt": t.DPTConfig(), "prompt_depth_anything": t.PromptDepthAnythingConfig()}
    from transformers.models.auto.modeling_auto import MODEL_FOR_DEPTH_ESTIMATION_MAPPING_NAMES as KNOWN

    assert set(KNOWN) == {*told, *unknown, "chmv2"}, "a new class of depth networks: read its head, and say here what it gives"
    assert {told_by(config) for config in told.values()} == {"metre"}
    assert {told_by(config) for config in unknown.values()} == {None}
    with pytest.raises(ValueError, match="heights of tree tops"):
        told_by(t.CHMv2Config())


def test_prompt_depth_anything_has_no_metres_without_a_prompt(tmp_path):
    config = t.PromptDepthAnythingConfig(
        backbone_config=dinov2(), reassemble_hidden_size=32, head_hidden_size=8, depth_estimation_type="metric", max_depth=20,
        **NECK,
    )  # fmt: skip
    t.PromptDepthAnythingForDepthEstimation(config).save_pretrained(tmp_path)
    for stated, message in ((None, CHOICES), ("metre", "metres only where measured distances are given")):
        with pytest.raises(ValueError, match=message):
            load_teacher("transformers", {"model": str(tmp_path), "depth_unit": stated}, "cpu")
    assert said_unit(tmp_path, "scale") == "scale"


def said_unit(folder, unit):
    teacher = load_teacher("transformers", {"model": str(folder), "depth_unit": unit, "input_size": 56}, "cpu")
    return teacher(patches(1, 56, 56), cameras(1, 56, 56), {})["depth"].unit


def test_nearer_is_larger_only_where_the_unit_says_so():
    """A wall at z = 4 m said as metres, as twice that, and as its inverse: canonical brings all to the same order of rays."""
    assert depth_unit(dpt_depth().config, "inverse") == "inverse"
    from geometry.fields import Field

    view = cameras(1, 8, 8)
    wall = np.full((1, 8, 8), 4.0, np.float32)
    everywhere = np.ones(wall.shape, bool)
    metre = canonical(Field("depth", wall, everywhere, "metre", "axis"), view).values
    inverse = canonical(Field("depth", 1 / wall, everywhere, "inverse", "axis"), view).values
    np.testing.assert_allclose(metre * inverse, 1, rtol=1e-5)


def test_zoedepth_with_two_heads_is_asked_one_patch_at_a_time(tmp_path):
    """Its classifier sums the votes of a whole batch, so other patches would choose the head of this one."""
    save("zoedepth", tmp_path)
    teacher = load_teacher("transformers", {"model": str(tmp_path)}, "cpu")
    asked = []
    teacher.network.model.register_forward_pre_hook(
        lambda _, __, given: asked.append(len(given["pixel_values"])), with_kwargs=True
    )
    one = teacher(patches(3), cameras(3), {})["depth"].values
    teacher.network.model.config.bin_configurations *= 2
    alone = teacher(patches(3), cameras(3), {})["depth"].values
    assert asked == [3, 1, 1, 1]
    np.testing.assert_allclose(one, alone, rtol=1e-4)
