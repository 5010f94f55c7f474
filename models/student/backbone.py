"""The backbone: pixels -> four levels of features on one grid of tokens."""

from __future__ import annotations

from math import lcm
from os import PathLike

import torch
from torch import Tensor, nn
from transformers import AutoBackbone, SegformerConfig, SegformerModel

from models.student.configuration import StudentConfig
from models.student.sphere import pad_convolutions, resize_sphere

LEVELS = 4
COARSEST = 32
"""Pixels per cell of the last level of all hierarchical networks in use."""


class Backbone(nn.Module):
    """Any ``AutoBackbone``, or SegFormer's encoder, which has none.

    A ViT gives all levels on its grid of patches, class and register tokens dropped. The maps of a hierarchical network are
    brought to one grid: by area means where they are finer, bilinearly where coarser. The rows of an image must be a whole
    ``multiple``, so that every grid is whole; the bridges halve that of the tokens.
    """

    def __init__(self, config: StudentConfig) -> None:
        super().__init__()
        inner = config.backbone_config
        self.network: nn.Module
        for shape in ("reshape_hidden_states", "reshape_last_stage"):  # maps, not lists of tokens, whatever a saved config says
            if hasattr(inner, shape):
                setattr(inner, shape, True)
        if isinstance(inner, SegformerConfig):
            self.network, self.channels = SegformerModel(inner), list(inner.hidden_sizes)
        else:
            self.network = AutoBackbone.from_config(inner)
            self.channels = list(self.network.channels)  # type: ignore[arg-type]
        if len(self.channels) != LEVELS:
            raise ValueError(f"backbone_config: must give {LEVELS} levels, got {len(self.channels)}; set its out_indices")
        if config.backbone_padding == "sphere":
            pad_convolutions(self.network)
        assert config.token_stride is not None
        self.stride = config.token_stride
        self.multiple = 2 * self.stride if config.is_vit else lcm(2 * self.stride, COARSEST)

    def forward(self, pixels: Tensor) -> list[Tensor]:
        """Four maps (B, C, H / stride, W / stride) of normalised pixels (B, 3, H, W)."""
        if isinstance(self.network, SegformerModel):
            maps = self.network(pixels, output_hidden_states=True).hidden_states
        else:
            maps = self.network(pixels).feature_maps
        return [resize_sphere(level, pixels.shape[-2] // self.stride) for level in maps]

    def load(self, folder: str | PathLike[str]) -> None:
        """Take over the weights of a saved network of the same kind and sizes: a backbone, a bare model or a classifier.

        Norms of the levels, which classifiers do not have, stay as they are.

        Raises
        ------
        ValueError
            The folder lacks some of the weights, or they have other sizes.
        """
        saved, report = type(self.network).from_pretrained(  # type: ignore[attr-defined]
            folder, config=self.network.config, output_loading_info=True, dtype=torch.float32
        )
        missing = [key for key in report["missing_keys"] if not key.startswith("hidden_states_norms.")]
        if missing or report["mismatched_keys"]:
            lacking = sorted(map(str, [*missing, *report["mismatched_keys"]]))
            raise ValueError(
                f"{folder}: does not hold the weights of a {type(self.network).__name__} of this size; "
                f"missing or of another size: {', '.join(lacking[:3])}{' ...' if len(lacking) > 3 else ''}"
            )
        self.network.load_state_dict(saved.state_dict())
