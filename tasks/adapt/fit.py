"""Whether a source model and the config of its adaptation fit together; told before anything runs."""

from __future__ import annotations

from configs.adapt import AdaptConfig
from configs.settings import ConfigError
from models.seamless.saved import SeamlessModel
from models.seamless.semantic import SemanticNetwork
from tasks.adapt.learner import rate_groups


def refuse_misfit(config: AdaptConfig, model: SeamlessModel) -> None:
    """Raise ConfigError if the model cannot learn from such crops, or has no part of a name that ``training.rates`` gives."""
    try:
        if isinstance(model.network, SemanticNetwork):
            model.network.check_crop(config.training.crop)
        rate_groups(model.network, config.training)
    except ValueError as error:
        raise ConfigError(f"model {config.model}: {error}") from error
