"""The adapter for TIPSv2's three heads, the axes of normals, and normals derived from depth."""

import numpy as np
import pytest
import torch

from geometry.fields import canonical
from models.teachers import load_teacher
from models.teachers.from_depth import DerivedNormals
from tests.models.oracles import assert_semantics, resized, softmax
from tests.models.tiny import NAMES, cameras, inputs, patches, save

PLANE_NORMAL = np.array([0.6, -0.64, -0.48])
"""Unit, camera frame (x right, y down, z forward): a surface seen from its front, leaning right and up."""


def load(folder, **settings):
    return load_teacher("transformers", {"model": str(folder), **settings}, "cpu")


def unit(vectors):
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def rewrite(folder, change):
    """Change a saved network's weights in place."""
    from safetensors.torch import load_file, save_file

    path = folder / "model.safetensors"
    weights = load_file(path)
    change(weights)
    save_file(weights, path, metadata={"format": "pt"})


def say_normal(vector):
    """A change of weights after which the network says ``vector`` everywhere: a rendered plane."""

    def change(weights):
        head = "normals_head.normals_head"
        weights[f"{head}.weight"] = torch.zeros_like(weights[f"{head}.weight"])
        weights[f"{head}.bias"] = torch.tensor(vector, dtype=torch.float32)

    return change


def test_one_forward_pass_gives_all_fields(tmp_path):
    network, rgb = save("tipsv2", tmp_path), patches(2, 56, 56)
    with torch.inference_mode():
        raw = network(inputs(rgb, 56))
    teacher = load(tmp_path)
    fields = teacher(rgb, cameras(2, 56, 56), {})

    assert teacher.fields == tuple(fields) == ("depth", "normals", "semantics", "sky")
    assert teacher.classes == tuple(NAMES.values())
    expected = np.stack([1 / resized(1 / one.numpy(), 56, 56) for one in raw.predicted_depth])
    np.testing.assert_allclose(fields["depth"].values, expected, rtol=1e-3)
    assert (fields["depth"].unit, fields["depth"].frame) == ("metre", "axis")
    directions = np.stack([unit(resized(unit(one.permute(1, 2, 0).numpy()), 56, 56)) for one in raw.normals])
    assert (fields["normals"].unit, fields["normals"].frame, fields["normals"].values.dtype) == ("unit", "camera", np.float32)
    sure = fields["normals"].valid
    assert sure.mean() > 0.9
    np.testing.assert_allclose(fields["normals"].values[sure], directions[sure], atol=5e-3)
    logits = np.stack([resized(one.permute(1, 2, 0).numpy(), 56, 56) for one in raw.segmentation_logits])
    assert_semantics(fields["semantics"], softmax(logits), share=0.99)


@pytest.mark.parametrize("task", ["depth", "normals", "semantics"])
def test_a_task_takes_one_field_of_the_same_values(task, tmp_path):
    save("tipsv2", tmp_path)
    rgb, views = patches(1, 56, 56), cameras(1, 56, 56)
    everything = load(tmp_path)(rgb, views, {})
    teacher = load(tmp_path, task=task)
    only = teacher(rgb, views, {})
    assert tuple(only) == teacher.fields == (("semantics", "sky") if task == "semantics" else (task,))
    assert bool(teacher.classes) == (task == "semantics")
    for name, field in only.items():
        assert np.array_equal(field.values, everything[name].values)


@pytest.mark.parametrize(
    ("axes", "said"),
    [
        ("+x+y+z", (0.6, -0.64, -0.48)),
        ("+x-y-z", (0.6, 0.64, 0.48)),  # x right, y up, z towards the viewer (OpenGL).
        ("-x-y-z", (-0.6, 0.64, 0.48)),
        ("+z+x-y", (-0.48, 0.6, 0.64)),  # First forward, then right, then up.
    ],
)
@pytest.mark.parametrize("name", ["tipsv2", "tipsv2_normals"])
def test_axes_bring_a_planes_normal_to_the_camera_frame(name, axes, said, tmp_path):
    save(name, tmp_path)
    rewrite(tmp_path, say_normal(3.0 * np.array(said)))  # Of any length, as networks say them.
    normals = load(tmp_path, normals_axes=axes)(patches(1, 56, 56), cameras(1, 56, 56), {})["normals"]
    assert normals.valid.all()
    np.testing.assert_allclose(normals.values, np.broadcast_to(PLANE_NORMAL, normals.values.shape), atol=1e-5)


def test_a_network_without_a_direction_is_invalid(tmp_path):
    save("tipsv2_normals", tmp_path)
    rewrite(tmp_path, say_normal((0.0, 0.0, 0.0)))
    normals = load(tmp_path)(patches(1, 56, 56), cameras(1, 56, 56), {})["normals"]
    assert not normals.valid.any()
    assert not normals.values.any()


@pytest.mark.parametrize("axes", ["x-right", "+x+y", "+x+x+z", "xyz"])
def test_axes_that_are_no_axes_are_an_error(axes):
    with pytest.raises(ValueError, match=r"normals_axes: .* write for example"):
        load("anywhere", normals_axes=axes)


class TiltedPlane:
    """A teacher whose depth along the axis is that of the plane ``n . X = -2``."""

    classes: tuple[str, ...] = ()
    fields: tuple[str, ...] = ("depth",)

    def __init__(self, normal):
        self.normal = normal

    def __call__(self, patches, cameras, item):
        from geometry.fields import Field

        z = []
        for camera in cameras:
            rays = camera.rays()
            z.append(-2 / (rays @ self.normal) * rays[..., 2])
        depth = np.stack(z).astype(np.float32)
        return {"depth": Field("depth", depth, depth > 0, "metre", "axis")}


@pytest.mark.parametrize("normal", [np.array([0.36, -0.48, -0.8]), np.array([0.0, 0.0, -1.0]), np.array([-0.36, 0.48, -0.8])])
def test_normals_derived_from_a_rendered_plane(normal):
    views = cameras(2, 40, 40, fov_degrees=50)
    said = DerivedNormals(TiltedPlane(normal), (), ("depth", "normals"))(patches(2, 40, 40), views, {})
    normals = said["normals"]
    inner = (slice(None), slice(2, -2), slice(2, -2))
    assert normals.frame == "camera"
    assert normals.valid[inner].all()
    np.testing.assert_allclose(normals.values[inner], np.broadcast_to(normal, normals.values[inner].shape), atol=2e-3)
    world = canonical(normals, views).values[inner]
    for one, camera in zip(world, views):
        np.testing.assert_allclose(one, np.broadcast_to(camera.matrix @ normal, one.shape), atol=2e-3)


def test_a_depth_network_gives_derived_normals_too(tmp_path):
    save("tipsv2", tmp_path)

    def flat(weights):  # All depth bins equally likely: one distance everywhere, a wall that faces the camera.
        for name in weights:
            if name.startswith("depth_head.depth_head"):
                weights[name] = torch.zeros_like(weights[name])

    rewrite(tmp_path, flat)
    teacher = load(tmp_path, task="depth", derive_normals=True)
    said = teacher(patches(1, 56, 56), cameras(1, 56, 56), {})
    assert teacher.fields == tuple(said) == ("depth", "normals")
    sure = said["normals"].valid
    assert sure.mean() > 0.85
    np.testing.assert_allclose(said["normals"].values[sure], np.broadcast_to([0, 0, -1], (sure.sum(), 3)), atol=2e-3)


@pytest.mark.parametrize(("name", "message"), [("depth_anything_relative", "unknown offset"), ("segformer", "gives no depth")])
def test_normals_cannot_be_derived_from_what_bends_planes(name, message, tmp_path):
    save(name, tmp_path)
    with pytest.raises(ValueError, match=f"derive_normals: .*{message}"):
        load(tmp_path, derive_normals=True)


def test_missing_weights_are_never_made_up(tmp_path):
    save("tipsv2", tmp_path)
    rewrite(tmp_path, lambda weights: weights.pop("normals_head.normals_head.bias"))
    with pytest.raises(ValueError, match=r"lacks weights of Tipsv2DptForDensePrediction: normals_decoder.*\(1 in all\)"):
        load(tmp_path)
