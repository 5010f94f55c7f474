"""A cubemap network as a folder of this project: config.json and model.safetensors."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save

from models.cubemap.configuration import Conventions, CubemapConfig
from models.cubemap.network import CubemapNetwork

CONFIG, WEIGHTS = "config.json", "model.safetensors"
MODEL_TYPE = "panolabel_cubemap"


def network_files(network: CubemapNetwork, dtype: torch.dtype = torch.float32) -> dict[str, bytes]:
    """The files of the folder by name, weights in ``dtype``; equal networks give equal bytes."""
    config = json.dumps({"model_type": MODEL_TYPE, **asdict(network.config)}, indent=1) + "\n"
    state = {name: value.detach().to("cpu", dtype).contiguous() for name, value in network.state_dict().items()}
    return {CONFIG: config.encode(), WEIGHTS: save(state, {"format": "pt"})}


def save_network(network: CubemapNetwork, folder: Path, dtype: torch.dtype = torch.float32) -> None:
    """Write a network's folder, which :func:`models.cubemap.checkpoint.load_network` reads; it is made if need be."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in network_files(network, dtype).items():
        (folder / name).write_bytes(data)


def config_of_json(data: Mapping[str, Any]) -> CubemapConfig | None:
    """The config that :func:`network_files` wrote; None for that of another kind of model.

    Raises
    ------
    ValueError
        It is of this kind, and lacks a key, has one too many, or says what cannot be.
    """
    if data.get("model_type") != MODEL_TYPE:
        return None
    try:
        sizes = {name: _tuples(value) for name, value in data.items() if name != "model_type"}
        conventions = {name: _tuples(value) for name, value in sizes.pop("conventions").items()}
        return CubemapConfig(**sizes, conventions=Conventions(**conventions))
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{CONFIG}: this is no config of a cubemap network: {type(error).__name__}: {error}") from error


def _tuples(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
