"""A saved student opens by AutoConfig and AutoModel, without remote code; backbones take over saved weights."""

import json

import pytest
import torch
from transformers import (
    AutoConfig,
    AutoModel,
    ConvNextForImageClassification,
    Dinov2Backbone,
    DINOv3ViTModel,
    SegformerForImageClassification,
    SwinForImageClassification,
)

from models.student import StudentConfig, StudentModel
from models.student.configuration import tiny_config
from tests.models.student.support import images, student


def test_saved_and_opened_again_it_answers_the_same(tmp_path):
    model = student("segformer", truncation="variant", mixer="plain", main_tasks=("depth", "semantics"), modulation="none")
    model.save_pretrained(tmp_path)
    assert {file.name for file in tmp_path.iterdir()} == {"config.json", "model.safetensors"}
    said = json.loads((tmp_path / "config.json").read_text())
    assert said["model_type"] == "panolabel_student"
    assert "auto_map" not in said  # which would ask for trust_remote_code
    config = AutoConfig.from_pretrained(tmp_path)
    assert isinstance(config, StudentConfig)
    assert (config.truncation, config.mixer, config.id2label) == ("variant", "plain", {0: "wall", 1: "floor", 2: "thing"})
    opened = AutoModel.from_pretrained(tmp_path)
    assert isinstance(opened, StudentModel)
    assert not opened.training
    with torch.inference_mode():
        for name, answer in model(images()).items():
            if name != "preliminary":
                assert torch.equal(opened(images())[name], answer)


def test_a_backbone_takes_over_saved_weights(tmp_path):
    model = student("dinov2")
    torch.manual_seed(5)
    saved = Dinov2Backbone(model.config.backbone_config)
    saved.save_pretrained(tmp_path)
    model.backbone.load(tmp_path)
    pixels = images()
    for mine, its in zip(model.eval().backbone(pixels), saved.eval()(pixels).feature_maps, strict=True):
        torch.testing.assert_close(mine, its)


@pytest.mark.parametrize(
    ("kind", "saved", "name"),
    [
        ("dinov3_vit", DINOv3ViTModel, "model.layer.0.attention.q_proj.weight"),
        ("convnext", ConvNextForImageClassification, "encoder.stages.1.layers.0.dwconv.weight"),
        ("swin", SwinForImageClassification, "swin.encoder.layers.0.blocks.0.layernorm_before.bias"),
    ],
)
def test_models_and_classifiers_will_do(kind, saved, name, tmp_path):
    model = student(kind)
    with torch.no_grad():
        whole = saved(model.config.backbone_config)
        for parameter in whole.parameters():
            parameter.normal_()
    whole.save_pretrained(tmp_path)
    before = model.backbone.network.state_dict()[name].clone()
    model.backbone.load(tmp_path)
    weights = {key.removeprefix("convnext."): value for key, value in whole.state_dict().items()}
    assert torch.equal(model.backbone.network.state_dict()[name], weights[name])
    assert not torch.equal(before, weights[name])


def test_segformer_takes_over_its_encoder_from_a_whole_classifier(tmp_path):
    model = student("segformer", backbone_padding="zero")
    saved = SegformerForImageClassification(model.config.backbone_config).eval()
    saved.save_pretrained(tmp_path)
    model.backbone.load(tmp_path)
    last = saved.segformer(images()).last_hidden_state
    torch.testing.assert_close(model.backbone.network(images()).last_hidden_state, last)


def test_weights_of_another_network_are_refused(tmp_path):
    SegformerForImageClassification(tiny_config("segformer").backbone_config).save_pretrained(tmp_path)
    with pytest.raises(ValueError, match=r"does not hold the weights of a Dinov2Backbone"):
        student("dinov2").backbone.load(tmp_path)


def test_class_and_register_tokens_are_dropped():
    model = student("dinov3_vit")
    levels = model.backbone(images())
    network = model.backbone.network
    tokens = network.model(network.embeddings(images()), network.rope_embeddings(images())).last_hidden_state
    expected = network.norm(tokens)[:, 3:].transpose(1, 2).reshape(1, 16, 8, 16)
    torch.testing.assert_close(levels[-1], expected)
