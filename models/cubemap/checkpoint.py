"""Weights from a folder into a network, tensor by tensor: this project's, PaGeR's, and those of Depth Anything 3."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import yaml
from safetensors import SafetensorError, safe_open

from models.cubemap.configuration import MODALITIES, CubemapConfig
from models.cubemap.inferring import Shapes, config_of_shapes, released_name
from models.cubemap.network import CubemapNetwork
from models.cubemap.saved import CONFIG, WEIGHTS, config_of_json

log = logging.getLogger(__name__)
RELEASED_CONFIG = "config.yaml"
NAMED = 5
"""Names that an error tells of each kind."""


def load_network(
    folder: Path, config: CubemapConfig | None = None, dtype: torch.dtype = torch.float32, device: str = "cpu"
) -> CubemapNetwork:
    """A network in evaluation mode. While it is read, no more is in memory than its weights and one tensor.

    Parameters
    ----------
    folder : Path
        With ``model.safetensors``, and this project's ``config.json`` or PaGeR's ``config.yaml``, if any.
    config : CubemapConfig, optional
        Instead of what the folder tells; see :func:`read_config`, and change with ``dataclasses.replace`` what is known better.
    dtype
        That weights are cast to.
    device : str

    Raises
    ------
    FileNotFoundError
        There are no weights.
    ValueError
        Weights are torn, missing, too many or of another shape; the first five of each are named.
    """
    path = _weights(folder)
    try:
        with safe_open(path, framework="pt", device=device) as file:
            shapes = _shapes(file)
            network = built_for(shapes, config or _config(folder, shapes), str(path))
            state = {own: file.get_tensor(name).to(dtype) for name in shapes if (own := released_name(name)) is not None}
    except SafetensorError as error:
        raise ValueError(f"{path}: no whole safetensors file ({error}); download it again") from error
    network.load_state_dict(state, assign=True)
    return network.eval()


def built_for(shapes: Shapes, config: CubemapConfig, origin: str) -> CubemapNetwork:
    """A network without memory for weights (on the meta device) that tensors of these shapes fit.

    Raises
    ------
    ValueError
        They do not; ``origin`` is where they came from.
    """
    with torch.device("meta"):
        network = CubemapNetwork(config)
    wanted = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    given = {own: tuple(shape) for name, shape in shapes.items() if (own := released_name(name)) is not None}
    wrong = [
        f"{name} {given[name]} instead of {wanted[name]}" for name in wanted if name in given and given[name] != wanted[name]
    ]
    faults = {
        "missing": [name for name in wanted if name not in given],
        "unexpected": [name for name in given if name not in wanted],
        "of another shape": wrong,
    }
    if any(faults.values()):
        told = "; ".join(f"{len(names)} {kind}: {_some(names)}" for kind, names in faults.items() if names)
        raise ValueError(f"{origin}: does not hold the weights of this network; {told}")
    return network


def read_config(folder: Path) -> CubemapConfig:
    """The config that :func:`load_network` would take; FileNotFoundError and ValueError as there."""
    with safe_open(_weights(folder), framework="pt") as file:
        return _config(folder, _shapes(file))


def config_of_yaml(text: str, shapes: Shapes) -> CubemapConfig:
    """The config of PaGeR's checkpoint: sizes from the tensors, the rest from its ``config.yaml``.

    No such file was ever seen, only the code that reads it; so its keys are taken at any depth, and those that nobody reads are
    logged.

    Raises
    ------
    ValueError
        The network says depth itself instead of its logarithm, which is not read here.
    """
    said = dict(_leaves(yaml.safe_load(text) or {}))
    if said.pop("log_depth", True) is not True:
        raise ValueError(f"{RELEASED_CONFIG}: log_depth is not true; only networks that say the logarithm of depth can be read")
    names = {"valid_conv_padding": "cube_padding", "face_size": "face_size", "scale_head_downsample_factor": "scale_downsample"}
    told: dict[str, Any] = {ours: said.pop(theirs) for theirs, ours in names.items() if theirs in said}
    config = config_of_shapes(shapes, **told)
    wanted = set(config.modalities) | set(said.pop("modalities", None) or ())
    fov = float(said.pop("cube_fov", config.conventions.told_fov or 90.0))
    said.pop("pretrained_model_name", None)  # the tensors tell
    if said:
        log.warning("%s: keys that are not read: %s", RELEASED_CONFIG, ", ".join(sorted(said)))
    modalities = tuple(name for name in MODALITIES if name in wanted)
    return replace(config, modalities=modalities, conventions=replace(config.conventions, told_fov=fov))


def _config(folder: Path, shapes: Shapes) -> CubemapConfig:
    if (folder / CONFIG).exists():
        try:
            own = config_of_json(json.loads((folder / CONFIG).read_text()))
        except json.JSONDecodeError as error:
            raise ValueError(f"{folder / CONFIG}: no JSON: {error}") from error
        if own is not None:
            return own
    if (folder / RELEASED_CONFIG).exists():
        return config_of_yaml((folder / RELEASED_CONFIG).read_text(), shapes)
    return config_of_shapes(shapes)


def _weights(folder: Path) -> Path:
    path = folder / WEIGHTS
    if not path.exists():
        raise FileNotFoundError(f"{folder}: no {WEIGHTS}; download the checkpoint's files into this folder")
    return path


def _shapes(file: Any) -> dict[str, tuple[int, ...]]:
    return {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118  # no mapping


def _leaves(tree: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in tree.items():
        if isinstance(value, Mapping):
            yield from _leaves(value)
        else:
            yield name, value


def _some(names: list[str]) -> str:
    return ", ".join(names[:NAMED]) + (" ..." if len(names) > NAMED else "")
