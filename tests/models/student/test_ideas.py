"""Single ideas against closed forms."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from geometry.directions import erp_angles
from geometry.resampling.padding import pad_sphere as numpy_pad
from models.student import StudentModel
from models.student.bridge import Bridge
from models.student.configuration import tiny_config
from models.student.mixer import Mixer
from models.student.modulation import Modulation, position_code
from models.student.sphere import erp_rays, resize_sphere
from models.student.tasks import TASKS


def test_the_mixer_goes_from_the_near_kernel_at_the_equator_to_the_wide_one_at_the_poles():
    torch.manual_seed(0)
    mixer = Mixer(2, "erp").double()
    x = torch.randn(1, 2, 8, 16, dtype=torch.float64)
    padded = torch.from_numpy(numpy_pad(x[0].permute(1, 2, 0).numpy(), 4)).permute(2, 0, 1)[None]
    near = functional.conv2d(padded[..., 3:-3, 3:-3], mixer.near.weight, mixer.near.bias)
    wide = functional.conv2d(padded[..., 3:-3, :], mixer.wide.weight, mixer.wide.bias, groups=2)
    weight = torch.from_numpy(np.abs(np.sin(erp_angles(8, 16)[1])))[:, None]
    torch.testing.assert_close(mixer(x), (1 - weight) * near + weight * wide, rtol=1e-6, atol=1e-6)


def test_the_position_code_has_no_seam():
    code = position_code(erp_rays(16, 32, torch.device("cpu")))
    steps = (code - code.roll(1, -1)).norm(dim=1)
    torch.testing.assert_close(steps[..., 0], steps[..., 7], rtol=1e-4, atol=1e-6)
    longitude, latitude = erp_angles(16, 32)
    np.testing.assert_allclose(code[0, 3, 5], np.sin(longitude), atol=1e-6)
    np.testing.assert_allclose(code[0, 4, 5], np.cos(longitude), atol=1e-6)
    np.testing.assert_allclose(code[0, 5, :, 3], latitude / (np.pi / 2), atol=1e-6)


def test_modulation_starts_as_the_identity_and_then_depends_on_the_ray():
    modulation = Modulation(4, 8, "rays")
    torch.nn.init.zeros_(modulation.network[-1].weight)
    torch.nn.init.zeros_(modulation.network[-1].bias)
    rays, x = erp_rays(8, 16, torch.device("cpu")), torch.randn(1, 4, 8, 16)
    torch.testing.assert_close(modulation(x, rays), x)
    torch.nn.init.normal_(modulation.network[-1].weight)
    assert modulation(torch.ones_like(x), rays).std(dim=(2, 3)).min() > 1e-3
    modulation.kind = "constant"
    assert modulation(torch.ones_like(x), rays).std(dim=(2, 3)).max() < 1e-6


def test_a_bridge_is_attention_over_the_tokens_of_all_tasks():
    """Against torch's own multi-head attention with the same weights."""
    torch.manual_seed(0)
    bridge = Bridge("variant", TASKS, tiny_config()).eval()
    stream = torch.randn(1, 16, 4, 8)
    features = {task.name: torch.randn(1, 16, 4, 8) for task in TASKS}
    attention = torch.nn.MultiheadAttention(16, 2, batch_first=True)
    attention.in_proj_weight.data = torch.cat([bridge.query.weight, bridge.key_value.weight])[..., 0, 0].data
    attention.in_proj_bias.data = torch.cat([bridge.query.bias, bridge.key_value.bias]).data
    attention.out_proj.weight.data = bridge.project.weight[..., 0, 0].data
    attention.out_proj.bias.data = bridge.project.bias.data
    tokens = torch.cat([bridge.reduce[name](feature).flatten(2) for name, feature in features.items()], 2).transpose(1, 2)
    assert tokens.shape == (1, 6 * 2 * 4, 16)
    query = functional.layer_norm(stream.flatten(2).transpose(1, 2), [16])
    keys = functional.layer_norm(tokens, [16])
    crossed = stream + attention(query, keys, keys)[0].transpose(1, 2).reshape(stream.shape)
    torch.testing.assert_close(bridge(stream, features), crossed + bridge.mlp(bridge.norm_mlp(crossed)), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("vector_frame", ["world", "local"])
def test_a_student_that_has_nothing_to_say_of_normals_says_that_surfaces_face_the_camera(vector_frame):
    model = StudentModel(tiny_config("convnext", vector_frame=vector_frame)).eval()
    for layer in (model.heads["normals"].answer, model.decoders["normals"].answer):
        torch.nn.init.zeros_(layer.weight)
        torch.nn.init.zeros_(layer.bias)
    quarter = torch.tensor([[[0.0, 0, 1], [0, 1, 0], [-1, 0, 0]]])
    with torch.no_grad():
        normals = model(torch.rand(1, 3, 64, 128), quarter).normals[0]
    back = -quarter[0] @ erp_rays(64, 128, torch.device("cpu")).reshape(3, -1)
    torch.testing.assert_close(normals.reshape(3, -1), back)


def test_decoders_begin_by_adding_nothing_to_the_preliminary_answers():
    torch.manual_seed(0)
    model = StudentModel(tiny_config("convnext")).eval()
    with torch.no_grad():
        output = model(torch.rand(1, 3, 64, 128))
        assert torch.equal(output.semantics, resize_sphere(output.preliminary["semantics"], 64))
        torch.nn.init.normal_(model.decoders["semantics"].answer.weight)
        assert not torch.equal(model(torch.rand(1, 3, 64, 128)).semantics, output.semantics)
