"""Tiny networks of the real classes with seeded random weights, saved as a hub repository would hold them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers as t

from geometry.cameras import Camera

SWIN = {
    "embed_dim": 16, "depths": [1, 1, 1, 1], "num_heads": [2, 2, 2, 2], "window_size": 4,
    "image_size": 64, "out_features": ["stage1", "stage2", "stage3", "stage4"],
}  # fmt: skip
VIT = {"hidden_size": 32, "num_hidden_layers": 4, "num_attention_heads": 2, "image_size": 56, "patch_size": 14}
NAMES = {0: "wall", 1: "sky", 2: "floor, flooring", 3: "tree", 4: "person"}
NECK = {"neck_hidden_sizes": [8, 16, 16, 16], "fusion_hidden_size": 16}


def dinov2(**more: Any) -> Any:
    return t.Dinov2Config(**VIT, mlp_ratio=2, out_indices=[1, 2, 3, 4], reshape_hidden_states=False, **more)


def tipsv2_config() -> Any:
    backbone = t.Tipsv2VisionConfig(
        **VIT, mlp_ratio=2, out_indices=[1, 2, 3, 4], apply_layernorm=True, reshape_hidden_states=False
    )
    return t.Tipsv2DptConfig(backbone_config=backbone, **NECK, num_depth_bins=8, id2label=NAMES)


def depth_anything(kind: str) -> Any:
    config = t.DepthAnythingConfig(
        backbone_config=dinov2(), reassemble_hidden_size=32, head_hidden_size=8, depth_estimation_type=kind,
        max_depth=20, **NECK,
    )  # fmt: skip
    return t.DepthAnythingForDepthEstimation(config)


def depth_pro() -> Any:
    vit = {"model_type": "dinov2", **VIT, "num_hidden_layers": 2, "patch_size": 8, "image_size": 16, "mlp_ratio": 2}
    config = t.DepthProConfig(
        fusion_hidden_size=16, patch_size=16, intermediate_hook_ids=[1, 0], intermediate_feature_dims=[8, 8],
        scaled_images_ratios=[0.25, 0.5, 1], scaled_images_overlap_ratios=[0.0, 0.5, 0.25], scaled_images_feature_dims=[16, 8, 8],
        use_batch_norm_in_fusion_residual=False, image_model_config=dict(vit), patch_model_config=dict(vit),
        fov_model_config=dict(vit), num_fov_head_layers=0, use_fov_model=True,
    )  # fmt: skip
    return t.DepthProForDepthEstimation(config)


def zoedepth() -> Any:
    backbone = t.BeitConfig(
        hidden_size=32, num_hidden_layers=4, num_attention_heads=2, intermediate_size=32, image_size=64, patch_size=16,
        out_indices=[1, 2, 3, 4], reshape_hidden_states=False,
    )  # fmt: skip
    config = t.ZoeDepthConfig(
        backbone_config=backbone, backbone_hidden_size=32, **NECK, bottleneck_features=16, num_relative_features=8,
        bin_embedding_dim=8, num_attractors=[4, 2, 2, 1], patch_transformer_hidden_size=16,
        patch_transformer_intermediate_size=16, patch_transformer_num_attention_heads=2, patch_transformer_num_hidden_layers=1,
        bin_configurations=[{"n_bins": 8, "min_depth": 0.001, "max_depth": 10.0, "name": "nyu"}],
    )  # fmt: skip
    return t.ZoeDepthForDepthEstimation(config)


def dpt_depth() -> Any:
    return t.DPTForDepthEstimation(t.DPTConfig(backbone_config=dinov2(), is_hybrid=False, **NECK))


def dpt_semantic() -> Any:
    config = t.DPTConfig(
        hidden_size=32, num_hidden_layers=4, num_attention_heads=2, intermediate_size=32, image_size=64, patch_size=16,
        backbone_out_indices=[0, 1, 2, 3], is_hybrid=False, **NECK, id2label=NAMES, use_auxiliary_head=False,
    )  # fmt: skip
    return t.DPTForSemanticSegmentation(config)


def glpn() -> Any:
    return t.GLPNForDepthEstimation(
        t.GLPNConfig(depths=[1] * 4, hidden_sizes=[8, 16, 16, 16], num_attention_heads=[1, 2, 2, 2], decoder_hidden_size=16)
    )


def segformer() -> Any:
    config = t.SegformerConfig(
        depths=[1] * 4, hidden_sizes=[8, 16, 16, 16], num_attention_heads=[1, 2, 2, 2], decoder_hidden_size=16, id2label=NAMES
    )
    return t.SegformerForSemanticSegmentation(config)


def upernet() -> Any:
    config = t.UperNetConfig(
        backbone_config=t.SwinConfig(**SWIN), hidden_size=16, pool_scales=[1, 2], auxiliary_channels=16, id2label=NAMES,
        auxiliary_in_channels=64,
    )  # fmt: skip
    return t.UperNetForSemanticSegmentation(config)


def beit() -> Any:
    config = t.BeitConfig(
        hidden_size=32, num_hidden_layers=4, num_attention_heads=2, intermediate_size=32, image_size=64, patch_size=16,
        out_indices=[1, 2, 3, 4], pool_scales=[1, 2], id2label=NAMES, use_relative_position_bias=True, use_auxiliary_head=False,
    )  # fmt: skip
    return t.BeitForSemanticSegmentation(config)


MASKS = {"id2label": NAMES, "hidden_dim": 32, "mask_feature_size": 32, "feature_size": 32, "encoder_feedforward_dim": 16,
         "dim_feedforward": 16, "num_attention_heads": 2, "encoder_layers": 1, "decoder_layers": 2, "num_queries": 6}  # fmt: skip


def mask2former() -> Any:
    return t.Mask2FormerForUniversalSegmentation(t.Mask2FormerConfig(backbone_config=t.SwinConfig(**SWIN), **MASKS))


def oneformer() -> Any:
    config = t.OneFormerConfig(
        backbone_config=t.SwinConfig(**SWIN), id2label=NAMES, hidden_dim=32, mask_dim=32, conv_dim=32, num_queries=6,
        encoder_feedforward_dim=16, dim_feedforward=16, num_attention_heads=2, encoder_layers=1, decoder_layers=3,
        text_encoder_width=16, text_encoder_num_layers=1, text_encoder_vocab_size=64, text_encoder_proj_layers=1,
        text_encoder_n_ctx=2, query_dec_layers=1, task_seq_len=12, text_encoder_context_length=12,
    )  # fmt: skip
    return t.OneFormerForUniversalSegmentation(config)


def eomt() -> Any:
    config = t.EomtConfig(
        hidden_size=32, num_hidden_layers=3, num_attention_heads=2, image_size=64, patch_size=16, num_blocks=1, num_queries=6,
        num_upscale_blocks=1, num_register_tokens=1, id2label=NAMES,
    )  # fmt: skip
    return t.EomtForUniversalSegmentation(config)


MODELS: dict[str, Callable[[], Any]] = {
    "tipsv2": lambda: t.Tipsv2DptForDensePrediction(tipsv2_config()),
    "tipsv2_normals": lambda: t.Tipsv2DptForNormalEstimation(tipsv2_config()),
    "depth_anything_relative": lambda: depth_anything("relative"),
    "depth_anything_metric": lambda: depth_anything("metric"),
    "depth_pro": depth_pro,
    "zoedepth": zoedepth,
    "dpt_depth": dpt_depth,
    "dpt_semantic": dpt_semantic,
    "glpn": glpn,
    "segformer": segformer,
    "upernet": upernet,
    "beit": beit,
    "mask2former": mask2former,
    "oneformer": oneformer,
    "eomt": eomt,
}

SIZE = {
    "tipsv2": 56, "tipsv2_normals": 56, "depth_anything_relative": 56, "depth_anything_metric": 56, "depth_pro": 64,
    "zoedepth": 64, "dpt_depth": 56,
}  # fmt: skip


def save(name: str, folder: Path, seed: int = 0) -> Any:
    """Save the network with its input size, mean and deviation; the model itself is returned, in evaluation mode."""
    torch.manual_seed(seed)
    model = MODELS[name]().eval()
    with torch.no_grad():  # Wider weights than those of an untrained network, so that outputs differ clearly between pixels.
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.normal_(0, (2 / parameter[0].numel()) ** 0.5)
    t.utils.logging.disable_progress_bar()
    model.save_pretrained(folder)
    side = SIZE.get(name, 64)
    said: dict[str, Any] = {"size": {"height": side, "width": side}, "image_mean": [0.4, 0.5, 0.6], "image_std": [0.2, 0.25, 0.3]}
    said |= {"do_normalize": True, "resample": 2}
    (folder / "preprocessor_config.json").write_text(json.dumps(said))
    return model


def patches(count: int = 2, height: int = 64, width: int = 64, seed: int = 0) -> np.ndarray:
    """Smooth random RGB patches (N, h, w, 3) uint8."""
    coarse = torch.from_numpy(np.random.default_rng(seed).uniform(0, 255, (count, 3, 6, 6)).astype(np.float32))
    smooth = torch.nn.functional.interpolate(coarse, (height, width), mode="bilinear")
    return smooth.permute(0, 2, 3, 1).numpy().astype(np.uint8)


def cameras(count: int = 2, height: int = 64, width: int = 64, fov_degrees: float = 90.0) -> list[Camera]:
    """Cameras that look at different longitudes."""
    return [Camera.looking(width, height, np.radians(fov_degrees), yaw=0.7 * index, pitch=0.2) for index in range(count)]


def inputs(rgb: np.ndarray, side: int) -> torch.Tensor:
    """What a network saved by :func:`save` is to be given, by PIL: an oracle that shares no code with the adapters."""
    from PIL import Image

    resized = np.stack([np.asarray(Image.fromarray(one).resize((side, side), Image.Resampling.BILINEAR)) for one in rgb])
    normal = (resized / 255 - np.array([0.4, 0.5, 0.6])) / np.array([0.2, 0.25, 0.3])
    return torch.from_numpy(normal.astype(np.float32)).permute(0, 3, 1, 2)
