"""Small checkpoints of the released class, in the released names, with weights that follow from these."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import save_file

from models.cubemap.network import CubemapNetwork
from tests.models.cubemap.reference import TINY, state_of

CARD = "---\nlicense: cc-by-nc-4.0\n---\nA synthetic checkpoint.\n"
YAML = "log_depth: true\nvalid_conv_padding: true\nface_size: 56\n"


def write_checkpoint(folder: Path, without: tuple[str, ...] = ()) -> Path:
    """A folder with ``model.safetensors``, ``config.yaml`` and a model card; ``without`` some heads."""
    with torch.device("meta"):
        shapes = {name: tuple(value.shape) for name, value in CubemapNetwork(TINY).state_dict().items()}
    kept = {name: shape for name, shape in shapes.items() if not any(f".heads.{head}." in name for head in without)}
    folder.mkdir(parents=True, exist_ok=True)
    save_file({**state_of(kept), "model.cam_dec.x": torch.zeros(3)}, folder / "model.safetensors")
    told = [head for head in TINY.modalities if head not in without]
    (folder / "config.yaml").write_text(f"modalities: [{', '.join(told)}]\n{YAML}")
    (folder / "README.md").write_text(CARD)
    return folder
