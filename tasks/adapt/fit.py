"""Whether a source model and the config of its adaptation fit together; told before anything runs."""

from __future__ import annotations

from collections.abc import Sequence

from configs.settings import ConfigError
from models.seamless.saved import SeamlessModel
from models.seamless.semantic import SemanticNetwork
from storage.manifest import Block
from tasks.adapt.learner import rate_groups
from tasks.seamless.model import read_model
from tasks.stage.kind import Stage
from tasks.stage.models import MODEL, outside_model


def refuse_misfit(stage: Stage, _blocks: Sequence[Block]) -> None:
    """Raise ConfigError if the model cannot learn from such crops, or has no part of a name that ``training.rates`` gives.

    Of a model that a stage before it makes, that is told once it is there.
    """
    outside = outside_model(stage.inputs)
    if outside is not None:
        check_model(stage, read_model(outside, stage.identity.weights[MODEL]), outside)


def check_model(stage: Stage, model: SeamlessModel, where: str) -> None:
    """Raise ConfigError as :func:`refuse_misfit` of a model that was read."""
    try:
        if isinstance(model.network, SemanticNetwork):
            model.network.check_crop(stage.settings.crop)
        rate_groups(model.network, stage.settings)
    except ValueError as error:
        raise ConfigError(f"stages.{stage.key}: model {where}: {error}") from error
