"""A seamless network on disk: a folder with ``config.json`` and ``model.safetensors``, as transformers writes them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load, save

from models.seamless.branch import BranchSettings
from models.seamless.network import SeamlessNetwork, SeamlessSettings
from models.seamless.proposals import ProposalSettings
from models.seamless.semantic import SemanticNetwork

CONFIG, WEIGHTS = "config.json", "model.safetensors"
MODEL_TYPE = "panolabel_seamless"


@dataclass(frozen=True, eq=False)
class SeamlessModel:
    """A network and what is needed to use it.

    Parameters
    ----------
    network : SeamlessNetwork, or SemanticNetwork, which finds no objects
    classes : names, by index
    mean, std : of RGB from 0 to 1, what images are normalised with
    trained_on : sha256 of the image files that it learned from with labels, in hex; may be shortened to 16 digits, or be empty
    """

    network: SeamlessNetwork | SemanticNetwork
    classes: tuple[str, ...]
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)
    trained_on: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if len(self.classes) != self.network.settings.classes:
            raise ValueError(f"{len(self.classes)} names are given for the network's {self.network.settings.classes} classes")

    def normalised(self, images: NDArray[np.uint8]) -> torch.Tensor:
        """(B, H, W, 3) uint8 RGB -> (B, 3, H, W) float32 on the network's device."""
        device = next(self.network.parameters()).device
        pixels = torch.from_numpy(np.array(images)).to(device).permute(0, 3, 1, 2).float() / 255
        mean, std = (torch.tensor(values, device=device).reshape(1, 3, 1, 1) for values in (self.mean, self.std))
        return (pixels - mean) / std


def model_files(model: SeamlessModel) -> dict[str, bytes]:
    """The files of the folder by name; equal models give equal bytes."""
    settings = model.network.settings
    config = {
        "model_type": MODEL_TYPE,
        "settings": {**asdict(settings), "things": [settings.things.start, settings.things.stop]},
        "id2label": dict(enumerate(model.classes)),
        "image_mean": model.mean,
        "image_std": model.std,
        "trained_on": model.trained_on,
    }
    state = {name: value.detach().cpu().contiguous() for name, value in model.network.state_dict().items()}
    text = json.dumps(config, indent=1, ensure_ascii=False) + "\n"
    return {CONFIG: text.encode(), WEIGHTS: save(state, {"format": "pt"})}


def model_of_files(files: Mapping[str, bytes]) -> SeamlessModel:
    """The model that :func:`model_files` wrote, on the CPU and in evaluation mode.

    Raises
    ------
    ValueError
        The config is no JSON, lacks a key or is of another kind of model, or the weights do not fit it.
    """
    try:
        config = json.loads(files[CONFIG])
        if config.get("model_type") != MODEL_TYPE:
            raise ValueError(f"model_type is {config.get('model_type')!r}, not {MODEL_TYPE!r}")
        names = config["id2label"]
        classes = tuple(names[str(index)] for index in range(len(names)))
        model = SeamlessModel(
            SeamlessNetwork(_settings(config["settings"])),
            classes,
            tuple(config["image_mean"]),
            tuple(config["image_std"]),
            tuple(config.get("trained_on", ())),
        )
        model.network.load_state_dict(load(files[WEIGHTS]))
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"this is no saved seamless network: {type(error).__name__}: {error}") from error
    except (RuntimeError, SafetensorError, json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"this is no saved seamless network: {str(error)[:300]}") from error
    model.network.eval()
    return model


def save_model(model: SeamlessModel, folder: Path) -> None:
    """Write a model's folder; it is made if need be."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in model_files(model).items():
        (folder / name).write_bytes(data)


def load_model(folder: Path) -> SeamlessModel:
    """Read a model's folder; FileNotFoundError if a file is missing, ValueError as :func:`model_of_files`."""
    return model_of_files({name: (folder / name).read_bytes() for name in (CONFIG, WEIGHTS)})


def _settings(data: dict[str, Any]) -> SeamlessSettings:
    branch = data["branch"]
    proposals = branch["proposals"]
    own = ProposalSettings(**{**proposals, "ratios": tuple(proposals["ratios"])})
    return SeamlessSettings(
        **{**data, "things": range(*data["things"]), "branch": BranchSettings(**{**branch, "proposals": own})}
    )
