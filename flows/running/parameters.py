"""The config as a flow's parameter: the run form shows its schema, and a mistake is told in the config's own words."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import ValidationError, ValidatorFunctionWrapHandler, WrapValidator

from configs.adapt import AdaptConfig
from configs.reading import explain, is_adaptation
from configs.schema import Config
from configs.settings import ConfigError


def _explained(model: type[Config]) -> WrapValidator:
    def told(value: Any, validate: ValidatorFunctionWrapHandler) -> Any:
        try:
            return validate(value)
        except ValidationError as error:
            raise ConfigError(f"config:\n{explain(error, value, model)}") from error

    return WrapValidator(told)


def _of_its_kind(value: Any, validate: ValidatorFunctionWrapHandler) -> Any:
    return AdaptConfig.model_validate(value) if isinstance(value, dict) and is_adaptation(value) else validate(value)


ConfigParameter = Annotated[Config, _explained(Config)]
AdaptParameter = Annotated[AdaptConfig, _explained(AdaptConfig)]
AnyConfigParameter = Annotated[Config, WrapValidator(_of_its_kind), _explained(Config)]
"""Of flows that look after a store, whatever made what is in it."""
