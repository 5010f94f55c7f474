"""Patches -> a network's input: one function for all networks, driven by what their ``preprocessor_config.json`` says.

The image processors of `transformers` need torchvision or go through PIL one image at a time; this does the same to a whole
batch on the network's own device. It differs from PIL by a grey level or two in some pixels,
where the two round differently.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import interpolate, pad

from models.teachers.sizes import SizeRule, size_rule

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
HALF = {"image_mean": (0.5, 0.5, 0.5), "image_std": (0.5, 0.5, 0.5)}
PIL_MODES = {0: "nearest-exact", 1: "bicubic", 2: "bilinear", 3: "bicubic"}
"""PIL's resampling codes in torch's words; torch has no Lanczos filter, and cubic is the nearest to it."""

MASK_CLASSIFIER = {"size": {"shortest_edge": 800, "longest_edge": 1333}, "size_divisor": 32}
DEFAULTS: dict[str, dict[str, Any]] = {
    "beit": HALF,
    "data2vec-vision": HALF,
    "depth_anything": {"size": {"height": 518, "width": 518}, "resample": 3, "keep_aspect_ratio": True, "ensure_multiple_of": 14},
    "depth_pro": {"size": {"height": 1536, "width": 1536}, **HALF},
    "dpt": {"size": {"height": 384, "width": 384}, "resample": 3, **HALF},
    "glpn": {"size_divisor": 32, "do_normalize": False},
    "mask2former": MASK_CLASSIFIER,
    "maskformer": MASK_CLASSIFIER,
    "oneformer": MASK_CLASSIFIER,
    "segformer": {"size": {"height": 512, "width": 512}},
    "tipsv2_dpt": {"size": {"height": 448, "width": 448}, "do_normalize": False},
    "upernet": {"size": {"height": 512, "width": 512}},
    "zoedepth": {
        "size": {"height": 384, "width": 512}, "keep_aspect_ratio": True, "ensure_multiple_of": 32, "do_pad": True, **HALF,
    },
}  # fmt: skip
"""By model type: what its image processor assumes where the file is silent."""


@dataclass(frozen=True)
class ImageSpec:
    """What a network wants of its input: a size rule, a filter, and a normalisation of RGB in [0, 1]."""

    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD
    rescale: float = 1 / 255
    mode: str = "bilinear"
    size: Mapping[str, int] = field(default_factory=dict)
    keep_aspect: bool = False
    multiple: int = 1
    divisor: int = 1
    reverse_channels: bool = False
    reflect_border: bool = False
    """ZoeDepth pads by reflection and samples corner to corner; it was trained so."""

    def target(self, height: int, width: int) -> tuple[int, int]:
        """Size that patches of (height, width) are resized to."""
        if "height" in self.size:
            scale_y, scale_x = self.size["height"] / height, self.size["width"] / width
            if self.keep_aspect:
                scale_y = scale_x = scale_x if abs(1 - scale_x) < abs(1 - scale_y) else scale_y
            step = self.multiple
            return max(round(scale_y * height / step), 1) * step, max(round(scale_x * width / step), 1) * step
        if "shortest_edge" in self.size:
            scale = self.size["shortest_edge"] / min(height, width)
            longest = self.size.get("longest_edge") or math.inf
            scale = min(scale, longest / max(height, width))
            height, width = (math.ceil(round(scale * side) / self.divisor) for side in (height, width))
            return height * self.divisor, width * self.divisor
        return max(height // self.divisor, 1) * self.divisor, max(width // self.divisor, 1) * self.divisor

    def border(self, height: int, width: int) -> tuple[int, int]:
        """Rows and columns of reflection added on each side before resizing."""
        return (int(math.sqrt(height / 2) * 3), int(math.sqrt(width / 2) * 3)) if self.reflect_border else (0, 0)


def read_spec(folder: Path, config: Any, input_size: tuple[int, int] | int | None) -> ImageSpec:
    """The input that the model in ``folder`` wants; ``input_size`` overrides its size.

    A size in the folder that the network does not divide is rounded to one that it does.

    Parameters
    ----------
    config : the model's `transformers` config

    Raises
    ------
    ValueError
        The network does not divide ``input_size``; names the nearest that it does.
    """
    rule = size_rule(config)
    said = {**DEFAULTS.get(config.model_type, {}), **_read_processor(folder)}
    normalise = said.get("do_normalize", True)
    zoe = config.model_type == "zoedepth"
    spec = ImageSpec(
        mean=tuple(said.get("image_mean", IMAGENET_MEAN)) if normalise else (0.0, 0.0, 0.0),
        std=tuple(said.get("image_std", IMAGENET_STD)) if normalise else (1.0, 1.0, 1.0),
        rescale=said.get("rescale_factor", 1 / 255) if said.get("do_rescale", True) else 1.0,
        mode=PIL_MODES.get(said.get("resample", 2), "bilinear"),
        size=_size((said.get("size") or None) if said.get("do_resize", True) else {}, config, rule),
        keep_aspect=bool(said.get("keep_aspect_ratio", False)),
        multiple=math.lcm(int(said.get("ensure_multiple_of") or 1), rule.multiple),
        divisor=math.lcm(int(said.get("size_divisor") or 1), rule.multiple),
        reverse_channels=bool(said.get("do_flip_channel_order", False)),
        reflect_border=zoe and bool(said.get("do_pad", True)),
    )
    if input_size is None:
        return spec
    height, width = (input_size, input_size) if isinstance(input_size, int) else input_size
    rule.check((height, width), "input_size")
    return replace(spec, size={"height": height, "width": width}, keep_aspect=False, multiple=1)


def _read_processor(folder: Path) -> dict[str, Any]:
    for name in ("preprocessor_config.json", "processor_config.json"):
        if (folder / name).is_file():
            said = json.loads((folder / name).read_text(encoding="utf-8"))
            return dict(said.get("image_processor", said))
    return {}


def _size(size: Any, config: Any, rule: SizeRule) -> dict[str, int]:
    if rule.only:
        return dict(zip(("height", "width"), rule.only))
    if size is None:
        size = getattr(config, "image_size", None) or getattr(getattr(config, "backbone_config", None), "image_size", None)
    if isinstance(size, int):
        return {"height": size, "width": size}
    if isinstance(size, (list, tuple)):
        return {"height": size[0], "width": size[1]}
    return {key: value for key, value in (size or {}).items() if value is not None}


def prepare(patches: NDArray[np.uint8], spec: ImageSpec, device: torch.device | str) -> torch.Tensor:
    """A network's input (N, 3, H, W) float32 on ``device`` from patches (N, h, w, 3) uint8 RGB."""
    pixels = _uploaded(torch.from_numpy(np.ascontiguousarray(patches)), torch.device(device)).permute(0, 3, 1, 2).float()
    height, width = pixels.shape[-2:]
    rows, columns = spec.border(height, width)
    if spec.reflect_border:
        pixels = pad(pixels, (columns, columns, rows, rows), mode="reflect")
    target = spec.target(*pixels.shape[-2:])
    if target != tuple(pixels.shape[-2:]):
        pixels = _resize(pixels, target, spec)
    if spec.reverse_channels:
        pixels = pixels.flip(1)
    mean, std = (torch.tensor(values, device=device)[:, None, None] for values in (spec.mean, spec.std))
    return (pixels * spec.rescale - mean) / std


def _uploaded(patches: torch.Tensor, device: torch.device) -> torch.Tensor:
    """Bytes on the device; to a GPU through pinned memory, so that nobody waits for the copy."""
    return patches.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else patches.to(device)


def _resize(pixels: torch.Tensor, size: tuple[int, int], spec: ImageSpec) -> torch.Tensor:
    if spec.mode == "nearest-exact":
        return interpolate(pixels, size, mode=spec.mode)
    if spec.reflect_border:
        return interpolate(pixels, size, mode=spec.mode, align_corners=True)
    # As PIL does: columns, then rows, rounded to bytes after each, which clips the overshoot of the cubic kernel.
    for step in ((pixels.shape[2], size[1]), size):
        pixels = interpolate(pixels, step, mode=spec.mode, align_corners=False, antialias=True).add(0.5).floor().clamp(0, 255)
    return pixels
