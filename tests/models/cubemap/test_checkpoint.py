"""Released names load, what does not fit is named, and a network comes back from its folder as it was."""

import json
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from models.cubemap.checkpoint import built_for, config_of_yaml, load_network, read_config
from models.cubemap.configuration import Conventions, CubemapConfig, face_cameras, small_config
from models.cubemap.inferring import config_of_shapes
from models.cubemap.network import CubemapNetwork, initialise
from models.cubemap.saved import network_files, save_network
from tests.models.cubemap.reference import TINY, fixture, released_shapes, state_of

YAML = """
modalities: [depth, normals, sky, scale_indoor, scale_outdoor]
log_depth: true
valid_conv_padding: true
face_size: 56
cube_fov: 90
pretrained_model_name: da3-giant
scale_head_downsample_factor: 4
learning_rate: 1.0e-4
"""


def tiny_shapes() -> dict[str, tuple[int, ...]]:
    with torch.device("meta"):
        return {name: tuple(value.shape) for name, value in CubemapNetwork(TINY).state_dict().items()}


def test_the_released_checkpoint_fits_in_every_name_and_shape() -> None:
    shapes = released_shapes()
    start = time.monotonic()
    network = built_for(shapes, CubemapConfig(), "released")
    state = network.state_dict()
    assert len(shapes) == len(state) == 1011
    assert set(state) - set(shapes) == set(shapes) - set(state) == set()
    assert {name: tuple(value.shape) for name, value in state.items()} == shapes
    assert sum(value.numel() for value in state.values()) == 1_395_217_930
    assert all(value.is_meta for value in state.values())
    assert time.monotonic() - start < 10


def test_the_sizes_of_the_released_checkpoint_are_told_by_its_tensors() -> None:
    assert config_of_shapes(released_shapes()) == CubemapConfig()


@pytest.mark.parametrize("modality", ["depth", "normals"])
def test_released_checkpoints_of_one_task_fit(modality: str) -> None:
    kept = {k: v for k, v in released_shapes().items() if ".heads." not in k or f".heads.{modality}." in k}
    config = config_of_shapes(kept)
    assert config == CubemapConfig(modalities=(modality,))
    built_for(kept, config, "released")
    assert len(kept) == 801
    total = sum(torch.Size(shape).numel() for shape in kept.values())
    assert total == pytest.approx(1_286.6e6, abs=0.05e6)


def test_a_synthetic_checkpoint_loads_and_says_what_pager_said(tmp_path: Path) -> None:
    save_file({**state_of(tiny_shapes()), "model.cam_dec.x": torch.zeros(3)}, tmp_path / "model.safetensors")
    (tmp_path / "config.yaml").write_text(YAML)
    config = read_config(tmp_path)
    assert replace(config, camera_heads=2) == TINY
    network = load_network(tmp_path, replace(config, camera_heads=2))
    with torch.no_grad():
        said = network(torch.from_numpy(fixture()["faces"]), face_cameras(network.config), [])
    assert (said.log_depth - torch.from_numpy(fixture()["depth"])[:, :, 0]).abs().max() <= 2e-4
    half = load_network(tmp_path, TINY, torch.bfloat16)
    assert {value.dtype for value in half.state_dict().values()} == {torch.bfloat16}
    with torch.no_grad():
        rough = half(torch.from_numpy(fixture()["faces"]).bfloat16(), face_cameras(TINY), ["indoor"])
    assert rough.log_depth.dtype == torch.bfloat16
    assert (rough.log_depth - said.log_depth).abs().mean() < 0.05


def test_what_does_not_fit_is_named() -> None:
    shapes = tiny_shapes()
    lost, torn = "model.head.heads.sky.fuse.0.weight", "model.backbone.pretrained.blocks.4.attn.qkv.bias"
    with pytest.raises(ValueError, match=f"here: .*; 1 missing: {lost}$"):
        built_for({name: shape for name, shape in shapes.items() if name != lost}, TINY, "here")
    with pytest.raises(ValueError, match=rf"1 of another shape: {torn} \(7,\) instead of \(192,\)"):
        built_for({**shapes, torn: (7,)}, TINY, "here")
    with pytest.raises(ValueError, match=r"1 unexpected: model.head.other.weight"):
        built_for({**shapes, "model.head.other.weight": (1,)}, TINY, "here")
    without = {name: shape for name, shape in shapes.items() if ".normals." not in name}
    with pytest.raises(ValueError, match=r"62 missing: (\S+, ){4}\S+ \.\.\.$"):
        built_for(without, TINY, "here")


def test_a_missing_tensor_is_found_missing_when_sizes_are_inferred(tmp_path: Path) -> None:
    state = state_of(tiny_shapes())
    lost = "model.head.heads.depth.projects.2.weight"
    del state[lost]
    save_file(state, tmp_path / "model.safetensors")
    with pytest.raises(ValueError, match=f"1 missing: {lost}"):
        load_network(tmp_path)
    save_file({"other": torch.zeros(1)}, tmp_path / "model.safetensors")
    with pytest.raises(ValueError, match="not the weights of a cubemap network"):
        load_network(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"torn")
    with pytest.raises(ValueError, match="download it again"):
        load_network(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"no model\.safetensors; download"):
        load_network(tmp_path / "nowhere")


def test_keys_of_a_released_config_that_nobody_reads_are_told(caplog: pytest.LogCaptureFixture) -> None:
    config_of_yaml("model: {cube_fov: 96}\n" + YAML.replace("cube_fov: 90", ""), tiny_shapes())
    assert "not read: learning_rate" in caplog.text
    nested = config_of_yaml("model: {cube_fov: 96, valid_conv_padding: false}", tiny_shapes())
    assert (nested.conventions.told_fov, nested.conventions.resizing_fov, nested.cube_padding) == (96, 90, False)
    with pytest.raises(ValueError, match="log_depth is not true"):
        config_of_yaml("log_depth: false", tiny_shapes())


def depth_anything_shapes(
    width: int, blocks: int, start: int, features: int, channels: tuple[int, ...]
) -> dict[str, tuple[int, ...]]:
    """Names as DA3-BASE and DA3-SMALL have them, written out from their description, not from this project's modules."""
    vit, enc, head = "model.backbone.pretrained.", "model.cam_enc.", "model.head."
    shapes: dict[str, tuple[int, ...]] = {
        vit + "cls_token": (1, 1, width), vit + "camera_token": (1, 2, width), vit + "pos_embed": (1, 1370, width),
        vit + "patch_embed.proj.weight": (width, 3, 14, 14), vit + "patch_embed.proj.bias": (width,),
        enc + "pose_branch.fc1.weight": (width // 2, 9), enc + "pose_branch.fc1.bias": (width // 2,),
        enc + "pose_branch.fc2.weight": (width, width // 2), enc + "pose_branch.fc2.bias": (width,),
    }  # fmt: skip

    def layer(name: str, *sides: int) -> None:
        shapes[name + ".weight"], shapes[name + ".bias"] = sides, sides[:1]

    def norm(name: str, size: int) -> None:
        shapes[name + ".weight"] = shapes[name + ".bias"] = (size,)

    def block(name: str, normed: bool) -> None:
        for part in ("norm1", "norm2"):
            norm(f"{name}.{part}", width)
        for part in ("ls1.gamma", "ls2.gamma"):
            shapes[f"{name}.{part}"] = (width,)
        layer(f"{name}.attn.qkv", 3 * width, width)
        layer(f"{name}.attn.proj", width, width)
        layer(f"{name}.mlp.fc1", 4 * width, width)
        layer(f"{name}.mlp.fc2", width, 4 * width)
        if normed:
            norm(f"{name}.attn.q_norm", 64)
            norm(f"{name}.attn.k_norm", 64)

    for name in (vit + "norm", enc + "token_norm", enc + "trunk_norm"):
        norm(name, width)
    for index in range(blocks):
        block(f"{vit}blocks.{index}", index >= start)
    for index in range(4):
        block(f"{enc}trunk.{index}", False)
    norm(head + "norm", 2 * width)
    for index, count in enumerate(channels):
        layer(f"{head}projects.{index}", count, 2 * width, 1, 1)
        shapes[f"{head}scratch.layer{index + 1}_rn.weight"] = (features, count, 3, 3)
    for index, side in ((0, 4), (1, 2), (3, 3)):
        layer(f"{head}resize_layers.{index}", channels[index], channels[index], side, side)
    for suffix in ("", "_aux"):
        for index in (1, 2, 3, 4):
            refine = f"{head}scratch.refinenet{index}{suffix}"
            layer(refine + ".out_conv", features, features, 1, 1)
            for unit in ("resConfUnit1", "resConfUnit2")[index == 4 :]:
                layer(f"{refine}.{unit}.conv1", features, features, 3, 3)
                layer(f"{refine}.{unit}.conv2", features, features, 3, 3)
    layer(head + "scratch.output_conv1", features // 2, features, 3, 3)
    layer(head + "scratch.output_conv1_aux.0.0", features // 2, features, 3, 3)
    layer(head + "scratch.output_conv2.0", 32, features // 2, 3, 3)
    layer(head + "scratch.output_conv2.2", 2, 32, 1, 1)
    layer("model.cam_dec.fc_t", 3, 2 * width)
    return shapes


@pytest.mark.parametrize(("width", "features"), [(768, 128), (384, 64)])
def test_depth_anything_3_fits(width: int, features: int) -> None:
    channels = tuple(width * part // 8 for part in (1, 2, 4, 8))
    shapes = depth_anything_shapes(width, 12, 4, features, channels)
    config = config_of_shapes(shapes)
    built_for(shapes, config, "DA3")
    assert (config.levels, config.alternate_from, config.ffn, config.heads) == ((5, 7, 9, 11), 4, "gelu", width // 64)
    assert (config.modalities, config.cube_padding, config.conventions) == (("depth",), False, Conventions())


def test_a_saved_network_says_the_same(tmp_path: Path) -> None:
    config = replace(small_config(face_size=16), width=32, ffn_width=32, blocks=4, levels=(0, 1, 2, 3))
    network = CubemapNetwork(config).eval()
    initialise(network, torch.Generator().manual_seed(0))
    save_network(network, tmp_path / "new")
    again = load_network(tmp_path / "new")
    assert again.config == config
    assert network_files(again) == network_files(network), "the bytes are a function of the network"
    images = torch.randn(1, 6, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        assert torch.equal(again(images, face_cameras(config)).normals, network(images, face_cameras(config)).normals)
    assert [name for name, one in again.named_parameters() if not one.requires_grad] == ["model.backbone.pretrained.camera_token"]
    data = json.loads((tmp_path / "new" / "config.json").read_text())
    (tmp_path / "new" / "config.json").write_text(json.dumps({**data, "size": 3}))
    with pytest.raises(ValueError, match="no config of a cubemap network"):
        load_network(tmp_path / "new")


def test_sizes_that_cannot_be_are_refused() -> None:
    with pytest.raises(ValueError, match="500 pixels are not a multiple of the patch, 14"):
        CubemapConfig(face_size=500)
    with pytest.raises(ValueError, match="sky read depth's features; add depth"):
        CubemapConfig(modalities=("sky",))
    with pytest.raises(ValueError, match="do not divide among 7 heads"):
        CubemapConfig(heads=7)
