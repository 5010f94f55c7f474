"""Which scale head to believe: is this indoors or outdoors?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import interpolate, normalize
from transformers import AutoTokenizer, CLIPModel, PreTrainedTokenizerBase

from geometry.cameras import Camera
from models.cubemap.configuration import SCENES, Scene

SKY_OUTDOORS = 0.05
"""Share of the sphere that is sky, above which a scene is outdoors."""
LEVEL_FACES = 4
"""Front, right, back, left: up and down tell little."""
TEMPERATURE = 100.0
CLIP_MEAN, CLIP_STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
PROMPTS: Mapping[Scene, tuple[str, ...]] = {
    "indoor": (
        "a photo taken inside a building", "a photo of a room", "the inside of a house", "a photo of an office",
        "a photo of a corridor", "a photo of a hall with a ceiling", "the inside of a shop", "a photo of a cellar",
        "a photo under artificial light between walls",
    ),
    "outdoor": (
        "a photo taken outside", "a photo of a street", "a photo of a landscape", "a photo under the open sky",
        "a photo of a garden", "a photo of a square between buildings", "a photo of a forest", "a photo of a mountain",
        "a photo of a coast",
    ),
}  # fmt: skip


class Router(Protocol):
    """Tells outdoor from indoor panoramas by their faces."""

    def __call__(self, faces: NDArray[np.uint8]) -> float:
        """Probability of outdoors of faces (S, h, w, 3) RGB in the order of a cubemap."""
        ...


def scene_of(p_outdoor: float) -> Scene:
    """Outdoor from one half on."""
    return "outdoor" if p_outdoor >= 0.5 else "indoor"


class ClipRouter:
    """CLIP (arXiv 2103.00020) asked which prompts a panorama's four level faces are like, as PaGeR does.

    p = mean over faces of softmax(100 [cos(i, T_indoor), cos(i, T_outdoor)]) at outdoor, T being the unit mean of the prompts'
    unit embeddings. Faces are brought to the model's size by antialiased cubic interpolation, CLIP's own.

    Parameters
    ----------
    model : CLIPModel
        ``openai/clip-vit-base-patch32`` is the one that PaGeR asks.
    tokenizer : its tokenizer
    prompts : by scene
    """

    def __init__(
        self, model: CLIPModel, tokenizer: PreTrainedTokenizerBase, prompts: Mapping[Scene, Sequence[str]] = PROMPTS
    ) -> None:
        self.model = model.eval()
        with torch.no_grad():
            self.scenes = torch.stack([self._embedded(tokenizer, prompts[scene]) for scene in SCENES])

    def __call__(self, faces: NDArray[np.uint8]) -> float:
        """See :class:`Router`."""
        with torch.no_grad():
            images = self.model.get_image_features(pixel_values=self._pixels(faces[:LEVEL_FACES])).pooler_output
            likeness = TEMPERATURE * normalize(images.float(), dim=-1) @ self.scenes.T
            return float(likeness.softmax(dim=-1)[:, SCENES.index("outdoor")].mean())

    def _embedded(self, tokenizer: PreTrainedTokenizerBase, prompts: Sequence[str]) -> Tensor:
        tokens = tokenizer(list(prompts), padding=True, return_tensors="pt").to(self.model.device)
        said = self.model.get_text_features(**tokens).pooler_output
        return normalize(normalize(said.float(), dim=-1).mean(dim=0), dim=-1)

    def _pixels(self, faces: NDArray[np.uint8]) -> Tensor:
        side = self.model.config.vision_config.image_size
        mean, std = (torch.tensor(one)[:, None, None] for one in (CLIP_MEAN, CLIP_STD))
        pixels = torch.from_numpy(np.array(faces)).permute(0, 3, 1, 2).float() / 255
        small = interpolate(pixels, size=(side, side), mode="bicubic", antialias=True, align_corners=False).clamp(0, 1)
        return ((small - mean) / std).to(self.model.device, self.model.dtype)


def load_router(folder: Path, device: str = "cpu", prompts: Mapping[Scene, Sequence[str]] = PROMPTS) -> ClipRouter:
    """A router from a CLIP model's folder; nothing is downloaded."""
    model = CLIPModel.from_pretrained(folder, local_files_only=True, device_map=device)
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    return ClipRouter(model, tokenizer, prompts)


def sky_share(sky: NDArray[np.floating], cameras: Sequence[Camera]) -> float:
    """Share of what views see that is sky, by solid angle: the router where there is no CLIP, outdoors above 5 %.

    Parameters
    ----------
    sky : (S, h, w), from 0 to 1
    cameras : S cameras
    """
    weights = np.stack([camera.rays()[..., 2] ** 3 / camera.focal**2 for camera in cameras])
    return float((weights * sky).sum() / weights.sum())


def scene_by_sky(sky: NDArray[np.floating], cameras: Sequence[Camera]) -> Scene:
    """Outdoor where :func:`sky_share` is above 5 %."""
    return "outdoor" if sky_share(sky, cameras) > SKY_OUTDOORS else "indoor"
