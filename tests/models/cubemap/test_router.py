"""Indoors or outdoors: by CLIP, by hand, and by the sky."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import CLIPConfig, CLIPModel, CLIPTokenizer

from geometry.layouts import cubemap
from models.cubemap.router import CLIP_MEAN, CLIP_STD, PROMPTS, load_router, scene_by_sky, scene_of, sky_share

PROMPTED = {"indoor": ("a room", "a room in"), "outdoor": ("a street", "a street in")}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_clip(tmp_path, 32)


def write_clip(tmp_path: Path, positions: int) -> Path:
    """A tiny CLIP with a tokenizer of letters, of which prompts may have so many."""
    letters = "abcdefghijklmnopqrstuvwxyz"
    names = [*letters, *(letter + "</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    (tmp_path / "vocab.json").write_text(json.dumps({name: index for index, name in enumerate(names)}))
    (tmp_path / "merges.txt").write_text("#version: 0.2\n")
    text = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
            "vocab_size": len(names), "eos_token_id": len(names) - 1, "bos_token_id": len(names) - 2,
            "max_position_embeddings": positions}  # fmt: skip
    vision = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "image_size": 32,
              "patch_size": 8}  # fmt: skip
    torch.manual_seed(0)
    CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=8)).save_pretrained(tmp_path)
    CLIPTokenizer(str(tmp_path / "vocab.json"), str(tmp_path / "merges.txt")).save_pretrained(tmp_path)
    return tmp_path


def faces() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (6, 64, 64, 3)).astype(np.uint8)


def test_clip_says_the_mean_over_level_faces_of_a_softmax(folder: Path) -> None:
    said = load_router(folder, prompts=PROMPTED)(faces())
    model, tokenizer = CLIPModel.from_pretrained(folder).eval(), CLIPTokenizer.from_pretrained(folder)

    def unit(values: np.ndarray) -> np.ndarray:
        return values / np.linalg.norm(values, axis=-1, keepdims=True)

    with torch.no_grad():
        texts = [
            [
                model.get_text_features(**tokenizer(prompt, return_tensors="pt")).pooler_output.numpy()[0]
                for prompt in PROMPTED[scene]
            ]
            for scene in ("indoor", "outdoor")
        ]
        small = np.stack([np.asarray(Image.fromarray(one).resize((32, 32), Image.Resampling.BICUBIC)) for one in faces()[:4]])
        pixels = torch.from_numpy((small / 255 - CLIP_MEAN) / CLIP_STD).permute(0, 3, 1, 2).float()
        images = model.get_image_features(pixel_values=pixels).pooler_output.numpy()
    scenes = unit(unit(np.array(texts, dtype=np.float64)).mean(axis=1))
    powers = np.exp(100 * unit(images.astype(np.float64)) @ scenes.T)
    assert said == pytest.approx((powers[:, 1] / powers.sum(axis=1)).mean(), abs=0.02)
    assert 0.1 < said < 0.9


def test_up_and_down_are_not_asked(folder: Path) -> None:
    router, other = load_router(folder, prompts=PROMPTED), faces()
    other[4:] = 0
    assert router(other) == router(faces())


def test_there_are_nine_prompts_of_each() -> None:
    assert [len(set(PROMPTS[scene])) for scene in ("indoor", "outdoor")] == [9, 9]
    assert (scene_of(0.5), scene_of(0.49)) == ("outdoor", "indoor")


def test_sky_is_weighed_by_solid_angle() -> None:
    cameras = cubemap(64)
    sky = np.zeros((6, 64, 64))
    sky[4] = 1
    assert sky_share(sky, cameras) == pytest.approx(1 / 6, rel=1e-9)
    cap = np.stack([-camera.directions()[..., 1] > 0.9 for camera in cameras])
    assert sky_share(cap, cameras) == pytest.approx(0.05, abs=1e-3)  # a cap of height 0.1 is a twentieth of the sphere
    assert (scene_by_sky(sky, cameras), scene_by_sky(cap * 0.9, cameras)) == ("outdoor", "indoor")
