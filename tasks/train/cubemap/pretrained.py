"""Weights that a cubemap network starts from in the place of fresh ones."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from configs.settings import ConfigError
from models.cubemap.checkpoint import load_network, read_config
from models.cubemap.configuration import CubemapConfig
from models.cubemap.network import CubemapNetwork
from models.teachers.panoramic.settings import NAME, CubemapSettings, checkpoint_folder, cubemap_digest
from tasks.label.teachers.licences import stated_licence
from tasks.stage.kind import Inputs
from tasks.train.cubemap.settings import TrainCubemap

T = TypeVar("T")
NAMED = 3
"""Tensors that a refusal names."""


def pretrained_digest(settings: TrainCubemap, _inputs: Inputs) -> dict[str, str]:
    """That of the weights it starts from, for the fingerprint; raises as :func:`pretrained_folder`."""
    return {} if settings.pretrained is None else {"pretrained": _naming(cubemap_digest, settings)}


def pretrained_folder(settings: TrainCubemap) -> Path:
    """The folder of the weights that a training names; those of the hub are downloaded if need be.

    Raises
    ------
    FileNotFoundError, ValueError
        As :func:`models.teachers.panoramic.settings.checkpoint_folder`.
    """
    return _naming(checkpoint_folder, settings)


def pretrained_config(settings: TrainCubemap) -> CubemapConfig:
    """Sizes and conventions of the network whose weights those are. ConfigError if they cannot be read."""
    try:
        return read_config(pretrained_folder(settings))
    except (FileNotFoundError, ValueError) as error:
        raise ConfigError(str(error)) from error


def refuse_other_sizes(config: CubemapConfig, source: CubemapConfig) -> None:
    """Raise ConfigError if weights of the network ``source`` do not fit one of ``config``; the tensors are named.

    Heads that the source lacks start afresh.
    """
    own, given = (CubemapNetwork(one).state_dict() for one in (config, source))
    wrong = [
        f"{name} {tuple(given[name].shape) if name in given else 'is not there'} instead of {tuple(value.shape)}"
        for name, value in own.items()
        if not _is_new(name, source) and (name not in given or given[name].shape != value.shape)
    ]
    if wrong:
        more = " ..." if len(wrong) > NAMED else ""
        raise ConfigError(
            f"settings: the weights of `pretrained` are of other sizes: {'; '.join(wrong[:NAMED])}{more}; drop the settings that "
            "change them (width, blocks, channels, ...), or `pretrained`"
        )


def start_from(network: CubemapNetwork, settings: TrainCubemap) -> None:
    """Give a network the weights that its training names; heads that they lack stay as they are.

    Raises
    ------
    ValueError
        The weights are torn, or do not fit their own config.
    """
    source = load_network(pretrained_folder(settings))
    refuse_other_sizes(network.config, source.config)
    given = source.state_dict()
    network.load_state_dict({name: given.get(name, value) for name, value in network.state_dict().items()})


def beginning(settings: TrainCubemap) -> str:
    """Where the first weights come from, for the model card."""
    if settings.pretrained is None:
        return "from scratch"
    place = _found(settings)
    licence = settings.licence or stated_licence(place.model, place.revision)
    return f"from the weights in `{_written(settings)}`; licence: {licence}"


def _naming(look: Callable[[CubemapSettings], T], settings: TrainCubemap) -> T:
    """What is found of the weights; errors name the setting."""
    try:
        return look(_found(settings))
    except (FileNotFoundError, ValueError) as error:
        raise type(error)(f"pretrained: {error}") from error


def _is_new(name: str, source: CubemapConfig) -> bool:
    """Whether a tensor belongs to a head that the source lacks."""
    parts = name.split(".heads.")
    return len(parts) > 1 and parts[1].partition(".")[0] not in source.modalities


def _found(settings: TrainCubemap) -> CubemapSettings:
    """Where the weights are: a folder that is there, by the name of the network that is made here, or on the hub."""
    assert settings.pretrained is not None, "asked for only where there are some"
    told = _written(settings)
    is_folder = told != NAME and Path(settings.pretrained).expanduser().is_dir()
    return CubemapSettings(model=str(settings.pretrained) if is_folder else told, revision=settings.revision)


def _written(settings: TrainCubemap) -> str:
    return str(getattr(settings.pretrained, "written", settings.pretrained))
