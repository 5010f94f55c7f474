"""The config of a checkpoint, as its tensors' names and shapes tell it.

The configs beside released weights name a preset of their authors' code, which is not here; the tensors say the same.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from models.cubemap.configuration import MODALITIES, MULTI_VIEW, RELEASED, CubemapConfig

Shapes = Mapping[str, tuple[int, ...]]
VIT, HEADS, DA3_HEAD = "model.backbone.pretrained.", "model.head.heads.", "model.head.scratch."
ALL_BLOCKS = {12: (5, 7, 9, 11), 24: (11, 15, 19, 23), 40: (19, 27, 33, 39)}
"""Levels by the number of blocks, in Depth Anything 3 and PaGeR; elsewhere every quarter."""
CAMERA_HEADS = 16


def released_name(name: str) -> str | None:
    """The name that a tensor has here; None for one that is not needed.

    Camera decoders say what is known here. Depth Anything 3 keeps its one head, depth's, under other names, and beside it one
    for rays (``aux``).
    """
    if name.startswith("model.cam_dec."):
        return None
    if name.startswith(DA3_HEAD):
        rest = name.removeprefix(DA3_HEAD)
        return None if "_aux" in rest else f"{HEADS}depth.head_modules.depth.{rest}"
    if re.match(r"model\.head\.(norm|projects|resize_layers)\.", name):
        return f"{HEADS}depth.{name.removeprefix('model.head.')}"
    return name


def config_of_shapes(shapes: Shapes, **told: Any) -> CubemapConfig:
    """Sizes of the network that tensors of these names and shapes belong to.

    Parameters
    ----------
    shapes
        By name, as they lie in the file.
    told
        What is known better: fields of :class:`CubemapConfig`. Cube padding and PaGeR's conventions are taken for granted unless
        the head is that of Depth Anything 3, which sees any views.

    Raises
    ------
    ValueError
        Some size stands in none of the tensors.
    """
    own = {renamed: shape for name, shape in shapes.items() if (renamed := released_name(name)) is not None}
    is_da3 = any(name.startswith(DA3_HEAD) for name in shapes)
    width = _size(own, rf"{VIT}cls_token", 2)
    blocks = 1 + max((int(found[1]) for name in own if (found := re.match(rf"{VIT}blocks\.(\d+)\.", name))), default=-1)
    normed = [int(found[1]) for name in own if (found := re.match(rf"{VIT}blocks\.(\d+)\.attn\.q_norm", name))]
    swiglu = any(".mlp.w3." in name for name in own)
    trunk = [int(found[1]) for name in own if (found := re.match(r"model\.cam_enc\.trunk\.(\d+)\.", name))]
    sizes: dict[str, Any] = {
        "width": width,
        "blocks": blocks,
        "heads": width // _size(own, rf"{VIT}blocks\.\d+\.attn\.[qk]_norm\.(weight|bias)", 0),
        "patch": _size(own, rf"{VIT}patch_embed\.proj\.weight", 2),
        "position_grid": round((_size(own, rf"{VIT}pos_embed", 1) - 1) ** 0.5),
        "levels": ALL_BLOCKS.get(blocks, tuple(blocks * quarter // 4 - 1 for quarter in (1, 2, 3, 4))),
        "alternate_from": min(normed, default=blocks),
        "ffn": "swiglu" if swiglu else "gelu",
        "ffn_width": _size(own, rf"{VIT}blocks\.\d+\.mlp\.{'w3' if swiglu else 'fc2'}\.weight", 1),
        "camera_blocks": 1 + max(trunk, default=-1),
        "camera_heads": CAMERA_HEADS,
        "channels": tuple(_size(own, rf"{HEADS}\w+\.projects\.{level}\.(weight|bias)", 0) for level in range(4)),
        "features": _size(own, rf"{HEADS}.*refinenet\d\.out_conv\.(weight|bias)", 0),
        "modalities": tuple(name for name in MODALITIES if any(key.startswith(f"{HEADS}{name}.") for key in own)),
        "cube_padding": not is_da3,
        "conventions": MULTI_VIEW if is_da3 else RELEASED,
    }
    return CubemapConfig(**{**sizes, **told})


def _size(shapes: Shapes, pattern: str, axis: int) -> int:
    """One side of the first tensor of such a name: any of many will do, so that one that is missing is found missing later."""
    for name, shape in shapes.items():
        if re.fullmatch(pattern, name) and len(shape) > axis:
            return shape[axis]
    raise ValueError(f"no tensor is called {pattern}: these are not the weights of a cubemap network")
