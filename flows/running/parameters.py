"""The config as a flow's parameter: the run form shows its schema, and a mistake is told in the config's own words."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import ValidationError, ValidatorFunctionWrapHandler, WrapValidator

from configs.pipeline import Config
from configs.reading import explain
from configs.settings import ConfigError
from tasks.pipeline import validated


def _checked(value: Any, validate: ValidatorFunctionWrapHandler) -> Config:
    try:
        config: Config = validate(value)
    except ValidationError as error:
        raise ConfigError(f"config:\n{explain(error)}") from error
    return config if isinstance(value, Config) else validated(value)


ConfigParameter = Annotated[Config, WrapValidator(_checked)]
