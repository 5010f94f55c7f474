"""The one preprocessing function against the PIL image processors of transformers, and its sizes."""

import json

import numpy as np
import pytest
import torch
from transformers import (
    BeitConfig,
    DepthAnythingConfig,
    DPTConfig,
    EomtConfig,
    GLPNConfig,
    Mask2FormerConfig,
    SegformerConfig,
    ZoeDepthConfig,
)
from transformers.models.beit.image_processing_pil_beit import BeitImageProcessorPil
from transformers.models.dpt.image_processing_pil_dpt import DPTImageProcessorPil
from transformers.models.eomt.image_processing_pil_eomt import EomtImageProcessorPil
from transformers.models.glpn.image_processing_pil_glpn import GLPNImageProcessorPil
from transformers.models.mask2former.image_processing_pil_mask2former import Mask2FormerImageProcessorPil
from transformers.models.segformer.image_processing_pil_segformer import SegformerImageProcessorPil
from transformers.models.zoedepth.image_processing_pil_zoedepth import ZoeDepthImageProcessorPil

from models.teachers.preprocess import ImageSpec, prepare, read_spec
from tests.models.tiny import patches

CASES = {
    "dpt": (DPTConfig, DPTImageProcessorPil, {"size": {"height": 96, "width": 96}}, (80, 80)),
    "dpt_shrink": (DPTConfig, DPTImageProcessorPil, {"size": {"height": 64, "width": 64}}, (80, 80)),
    "depth_anything": (
        DepthAnythingConfig,
        DPTImageProcessorPil,
        {"size": {"height": 98, "width": 98}, "keep_aspect_ratio": True, "ensure_multiple_of": 14},
        (60, 90),
    ),
    "segformer": (SegformerConfig, SegformerImageProcessorPil, {"size": {"height": 128, "width": 128}}, (80, 80)),
    "beit": (lambda: BeitConfig(image_size=96), BeitImageProcessorPil, {"size": {"height": 96, "width": 96}}, (80, 80)),
    "eomt": (
        lambda: EomtConfig(image_size=128),
        EomtImageProcessorPil,
        {"size": {"shortest_edge": 128, "longest_edge": 128}},
        (80, 80),
    ),
    "glpn": (GLPNConfig, GLPNImageProcessorPil, {}, (80, 100)),
    "mask2former": (
        Mask2FormerConfig,
        Mask2FormerImageProcessorPil,
        {"size": {"shortest_edge": 100, "longest_edge": 140}},
        (80, 96),
    ),
    "zoedepth": (
        ZoeDepthConfig,
        ZoeDepthImageProcessorPil,
        {"size": {"height": 96, "width": 128}, "ensure_multiple_of": 32},
        (80, 80),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_input_equals_that_of_the_models_own_processor(name, tmp_path):
    make_config, processor_class, settings, size = CASES[name]
    processor = processor_class(**settings)
    processor.save_pretrained(tmp_path)
    rgb = np.random.default_rng(1).integers(0, 256, (1, *size, 3), dtype=np.uint8)
    expected = processor(images=list(rgb), return_tensors="pt")["pixel_values"].float()

    spec = read_spec(tmp_path, make_config(), None)
    got = prepare(rgb, spec, "cpu")

    assert got.shape == expected.shape
    # PIL computes with fixed-point weights and, for some shapes, rows before columns, which rounds differently.
    # ZoeDepth's processor does not go through PIL.
    grey_level = 1 / 255 / min(spec.std)
    assert float((got - expected).abs().max()) <= (1e-4 if name == "zoedepth" else 2.01 * grey_level)
    assert float((got - expected).abs().mean()) < (0.3 if name == "glpn" else 0.1) * grey_level


def test_no_resizing_leaves_pixels_exact():
    rgb = patches(1, 32, 48)
    got = prepare(rgb, ImageSpec((0.5,) * 3, (0.25,) * 3), "cpu")
    expected = (rgb.astype(np.float64) / 255 - 0.5) / 0.25
    np.testing.assert_allclose(got.permute(0, 2, 3, 1).numpy(), expected, atol=1e-5)


def test_channel_order_can_be_reversed():
    rgb = patches(1, 8, 8)
    got = prepare(rgb, ImageSpec((0.0,) * 3, (1.0,) * 3, 1.0, reverse_channels=True), "cpu")
    assert torch.equal(got.permute(0, 2, 3, 1), torch.from_numpy(rgb[..., ::-1].astype(np.float32)))


def test_a_silent_folder_gets_the_defaults_of_its_model_type(tmp_path):
    depth = read_spec(tmp_path, DepthAnythingConfig(), None)
    assert depth.target(504, 504) == (518, 518)
    assert depth.mean == (0.485, 0.456, 0.406)
    dpt = read_spec(tmp_path, DPTConfig(), None)
    assert (dpt.mean, dpt.mode, dpt.target(100, 100)) == ((0.5, 0.5, 0.5), "bicubic", (384, 384))


def test_what_the_file_says_goes_before_defaults_and_input_size_before_both(tmp_path):
    (tmp_path / "preprocessor_config.json").write_text(json.dumps({"size": {"height": 64, "width": 96}, "do_normalize": False}))
    said = read_spec(tmp_path, DPTConfig(), None)
    assert (said.target(100, 100), said.mean, said.std) == ((64, 96), (0, 0, 0), (1, 1, 1))
    assert read_spec(tmp_path, DPTConfig(), 96).target(100, 100) == (96, 96)
    assert read_spec(tmp_path, DPTConfig(), (64, 32)).target(100, 100) == (64, 32)


def test_a_processor_inside_a_processor_config_is_found(tmp_path):
    (tmp_path / "processor_config.json").write_text(json.dumps({"image_processor": {"size": {"height": 96, "width": 96}}}))
    assert read_spec(tmp_path, SegformerConfig(), None).target(100, 100) == (96, 96)
