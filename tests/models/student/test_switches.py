"""Every switch builds, runs forward and backward, and changes what it says; matched variants have equally many parameters."""

import pytest
import torch

from models.student import StudentModel
from models.student.configuration import TINY_BACKBONES, tiny_config
from tests.models.student.support import images, student

SWITCHES = {
    "truncation": ["none", "invariant", "variant", "both"],
    "streams": ["split", "shared"],
    "mixer": ["erp", "plain", "none"],
    "modulation": ["rays", "constant", "none"],
    "bridges": [True, False],
    "auxiliaries": [True, False],
    "vector_frame": ["world", "local"],
    "backbone_padding": ["sphere", "zero"],
    "main_tasks": [("depth",), ("normals",), ("semantics", "depth")],
}
ONE_AT_A_TIME = [{name: value} for name, values in SWITCHES.items() for value in values]
TOGETHER = [
    {"streams": "shared", "mixer": "none", "modulation": "none", "bridges": False, "auxiliaries": False},
    {"main_tasks": ("normals",), "auxiliaries": False, "streams": "shared"},
    {"main_tasks": ("depth",), "auxiliaries": False, "modulation": "none", "mixer": "plain", "truncation": "none"},
]


@pytest.mark.parametrize("settings", ONE_AT_A_TIME + TOGETHER, ids=str)
def test_every_parameter_of_every_variant_is_trained(settings):
    model = student("convnext", **settings)
    output = model(images())
    answers = [output[task] for task in model.config.main_tasks]
    assert all(answer.shape[-2:] == (64, 128) for answer in answers)
    assert set(output.preliminary) == {task.name for task in model.config.tasks}
    sum((one * torch.rand_like(one)).sum() for one in [*answers, *output.preliminary.values()]).backward()
    idle = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert not [name for name in idle if not name.startswith("backbone.")]
    assert all(p.grad.isfinite().all() for p in model.parameters() if p.grad is not None)


@pytest.mark.parametrize("kind", TINY_BACKBONES)
def test_every_backbone_trains(kind):
    model = StudentModel(tiny_config(kind))
    output = model(images(2))
    assert output.depth.shape == (2, 1, 64, 128)
    assert output.normals.shape == (2, 3, 64, 128)
    assert output.semantics.shape == (2, 3, 64, 128)
    (output.depth.sum() + output.normals.sum() + output.semantics.sum()).backward()
    idle = {
        name.rsplit(".", 2)[-2] + "." + name.rsplit(".", 1)[-1] for name, p in model.backbone.named_parameters() if p.grad is None
    }
    assert idle <= {
        "embeddings.mask_token",
        "layernorm.weight",
        "layernorm.bias",
    }  # of masked training, and of the last level only


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"streams": "split"}, {"streams": "shared"}),
        ({"mixer": "erp"}, {"mixer": "plain"}),
        ({"modulation": "rays"}, {"modulation": "constant"}),
        ({"truncation": "none"}, {"truncation": "both"}),
        ({"vector_frame": "world"}, {"vector_frame": "local"}),
        ({"backbone_padding": "zero"}, {"backbone_padding": "sphere"}),
    ],
)
def test_matched_variants_have_the_same_parameters_and_differ(one, other):
    first, second = student("convnext", **one), student("convnext", **other)
    shapes = [{name: p.shape for name, p in model.named_parameters()} for model in (first, second)]
    assert shapes[0] == shapes[1]
    answers = [model(images()) for model in (first, second)]
    same = all(torch.equal(answers[0][name], answers[1][name]) for name in ("depth", "normals"))
    assert same == ("truncation" in one)  # which changes gradients, not answers


def test_a_new_student_starts_as_if_bridges_modulation_and_bottlenecks_were_not_there():
    torch.manual_seed(0)
    model = StudentModel(tiny_config("convnext")).eval()
    before = model(images())
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            silent = any(part in name for part in (".mlp.", ".query.", ".reduce.", "modulation.network.0", ".body.0."))
            if silent and not name.startswith(("backbone", "decoders")):
                parameter.normal_()
    torch.testing.assert_close(model(images()).depth, before.depth, rtol=0, atol=0)


def test_answers_are_in_their_units():
    output = student("convnext", depth_scale=3.0)(images())
    assert (output.depth > 0).all()
    torch.testing.assert_close(output.normals.norm(dim=1), torch.ones(1, 64, 128))
    torch.testing.assert_close(student("convnext", depth_scale=6.0)(images()).depth, 2 * output.depth)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"main_tasks": ("albedo",)}, "albedo"),
        ({"main_tasks": ()}, "main_tasks"),
        ({"width": 15}, "width: 15"),
        ({"neck_sizes": (8, 8)}, "neck_sizes"),
        ({"depth_scale": 0.0}, "depth_scale"),
        ({"truncation": "some"}, "truncation"),
        ({"mixer": "fourier"}, "mixer"),
    ],
)
def test_wrong_settings_are_named(settings, words):
    with pytest.raises(Exception, match=words):
        tiny_config(**settings)


@pytest.mark.parametrize(
    ("size", "words"), [((64, 64), "twice as wide"), ((72, 144), "resize to 128x64"), ((8, 16), "resize to 64x32")]
)
def test_wrong_images_are_refused_with_a_size_that_fits(size, words):
    with pytest.raises(ValueError, match=words):
        student()(torch.zeros(1, 3, *size))


def test_a_backbone_with_other_than_four_levels_is_refused():
    config = tiny_config("dinov2")
    config.backbone_config.out_indices = [2, 4]
    with pytest.raises(ValueError, match="4 levels, got 2"):
        StudentModel(config)


@pytest.mark.parametrize("kind", ["dinov2", "segformer"])
def test_checkpointed_backbones_have_the_same_gradients(kind):
    plain, checkpointed = student(kind).train(), student(kind).train()
    checkpointed.activation_checkpointing_enable()
    recomputed = []
    layer = next(module for module in checkpointed.backbone.modules() if getattr(module, "gradient_checkpointing", False))
    next(layer.children()).register_forward_pre_hook(lambda *_: recomputed.append(1))
    for model in (plain, checkpointed):
        torch.manual_seed(1)
        model(images()).depth.sum().backward()
    assert len(recomputed) == 2
    for one, other in zip(plain.parameters(), checkpointed.parameters(), strict=True):
        if one.grad is not None:
            torch.testing.assert_close(other.grad, one.grad)
