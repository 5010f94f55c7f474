"""The config as a flow's parameter: the run form shows its schema, and a mistake is told in the config's own words."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import ValidationError, ValidatorFunctionWrapHandler, WrapValidator

from configs.reading import explain
from configs.schema import Config
from configs.settings import ConfigError


def _explained(value: Any, validate: ValidatorFunctionWrapHandler) -> Any:
    try:
        return validate(value)
    except ValidationError as error:
        raise ConfigError(f"config:\n{explain(error, value)}") from error


ConfigParameter = Annotated[Config, WrapValidator(_explained)]
