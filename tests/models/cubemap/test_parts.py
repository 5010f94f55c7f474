"""Cameras, positions, attention and scale by closed forms and float64."""

import numpy as np
import torch
from scipy.spatial.transform import Rotation

from geometry.layouts import cubemap, icosahedron, turned
from models.cubemap import attention
from models.cubemap.attention import Attention, rotary_table
from models.cubemap.backbone import positions
from models.cubemap.configuration import CubemapConfig, face_cameras
from models.cubemap.dpt import sinusoid
from models.cubemap.pose import pose_code
from models.cubemap.scale import log_scale


def test_the_code_of_a_cubemap() -> None:
    half = np.sqrt(0.5)
    code = pose_code(cubemap(8))
    quaternions = [(0, 0, 0, 1), (0, half, 0, half), (0, 1, 0, 0), (0, -half, 0, half), (half, 0, 0, half), (-half, 0, 0, half)]
    np.testing.assert_allclose(code[:, 3:7], quaternions, atol=1e-7)
    np.testing.assert_allclose(code[:, :3], 0)
    np.testing.assert_allclose(code[:, 7:], np.pi / 2, rtol=1e-6)
    assert code.dtype == np.float32


def test_codes_turn_back_into_the_cameras_however_the_rig_is_turned() -> None:
    rig = turned(icosahedron(8, 1.2), 0.7)
    code = pose_code(rig).astype(np.float64)
    for camera, quaternion in zip(rig, code[:, 3:7]):
        np.testing.assert_allclose(rig[0].matrix @ Rotation.from_quat(quaternion).as_matrix(), camera.matrix, atol=1e-6)
    assert (code[:, 6] >= 0).all()
    np.testing.assert_allclose(code, pose_code(icosahedron(8, 1.2)), atol=1e-6)
    np.testing.assert_allclose(pose_code(rig, told_fov=60)[:, 7:], np.pi / 3, rtol=1e-6)


def test_faces_of_released_weights_have_their_outermost_centres_on_the_edges() -> None:
    front = face_cameras(CubemapConfig())[0]
    assert abs(np.degrees(front.fov) - 90.1138) < 1e-4
    corner = front.rays()[0, 0]
    np.testing.assert_allclose(corner / corner[2], (-1, -1, 1), atol=1e-12)


def test_positions_between_views_tell_cameras_from_patches_only() -> None:
    local, everywhere = positions(2, 3, 2)
    assert local.tolist() == [[0, 0], [1, 1], [1, 2], [1, 3], [2, 1], [2, 2], [2, 3]]
    assert everywhere.tolist() == 2 * [[0, 0], *6 * [[1, 1]]]


def test_attention_with_rotary_positions_in_float64() -> None:
    torch.manual_seed(0)
    layer = Attention(16, 2, normed=True)
    tokens, places = torch.randn(1, 5, 16), torch.tensor([[0, 0], [1, 1], [1, 2], [2, 1], [2, 2]])
    with torch.no_grad():
        said = layer(tokens, rotary_table(places, 8)).numpy()[0]
    weight = {name: value.detach().numpy().astype(np.float64) for name, value in layer.named_parameters()}
    mixed = (tokens.numpy()[0].astype(np.float64) @ weight["qkv.weight"].T + weight["qkv.bias"]).reshape(5, 3, 2, 8)

    def normed(values: np.ndarray) -> np.ndarray:
        return (values - values.mean(-1, keepdims=True)) / np.sqrt(values.var(-1, keepdims=True) + 1e-5)

    def spun(values: np.ndarray) -> np.ndarray:
        """Each pair of channels is a complex number, turned by an angle."""
        result = np.empty_like(values)
        for axis in (0, 1):
            for pair in (0, 1):
                first, second = 4 * axis + pair, 4 * axis + pair + 2
                angle = places[:, axis].numpy() * 100.0 ** (-pair / 2)
                number = (values[..., first] + 1j * values[..., second]) * np.exp(1j * angle)[:, None]
                result[..., first], result[..., second] = number.real, number.imag
        return result

    queries, keys, values = spun(normed(mixed[:, 0])), spun(normed(mixed[:, 1])), mixed[:, 2]
    likeness = np.exp(np.einsum("qhc,khc->hqk", queries, keys) / np.sqrt(8))
    seen = np.einsum("hqk,khc->qhc", likeness / likeness.sum(-1, keepdims=True), values).reshape(5, 16)
    np.testing.assert_allclose(said, seen @ weight["proj.weight"].T + weight["proj.bias"], atol=1e-6)
    assert attention.ROPE_BASE == 100


def test_sinusoids_in_float64() -> None:
    table = sinusoid(8, (3, 4), 4 / 3).numpy()
    y, x = np.meshgrid([-2 / 3, 0, 2 / 3], [-0.75, -0.25, 0.25, 0.75], indexing="ij")
    x, y = x * 0.8, y * 0.6  # half width and half height of a 4:3 image of diagonal 2
    waves = [np.sin(x), np.sin(x / 10), np.cos(x), np.cos(x / 10), np.sin(y), np.sin(y / 10), np.cos(y), np.cos(y / 10)]
    np.testing.assert_allclose(table, 0.1 * np.stack(waves), atol=1e-7)


def test_the_scale_is_the_lower_median_and_its_spread_a_robust_deviation() -> None:
    rng = np.random.default_rng(0)
    log_depth = rng.normal(size=(2, 6, 8, 8))
    pooled = log_depth.reshape(2, 6, 4, 2, 4, 2).mean((3, 5))
    differences = rng.normal(1.5, 0.2, size=(2, 6, 4, 4))
    log_s, spread = log_scale(torch.from_numpy(pooled + differences), torch.from_numpy(log_depth))
    ordered = np.sort(differences.reshape(2, -1))
    np.testing.assert_allclose(log_s, ordered[:, 47], rtol=1e-5)
    quartiles = np.quantile(ordered, [0.25, 0.75], axis=1)
    np.testing.assert_allclose(spread, (quartiles[1] - quartiles[0]) / 1.349, rtol=1e-5)
    assert np.allclose(spread, 0.2, atol=0.05)
