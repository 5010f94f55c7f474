"""What all config models share: a closed, frozen base, the error that users see, and types of values."""

from __future__ import annotations

import json
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PlainSerializer
from pydantic_core import to_jsonable_python

from storage.credentials import mask_settings

Degrees = Annotated[float, Field(ge=-360, le=360)]
Identifier = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]


class ConfigError(ValueError):
    """The config cannot be used; the message names each key and its fix."""


def _have_a_json_form(values: dict[str, Any]) -> dict[str, Any]:
    """What is kept in fingerprints and records must be writable as JSON, which knows no infinity and no bytes."""
    try:
        json.dumps(to_jsonable_python(values), allow_nan=False, ensure_ascii=False).encode()
    except (ValueError, TypeError) as error:
        raise ValueError(f"holds what JSON cannot say ({error}); use text, finite numbers, lists and mappings") from error
    return values


PlainSettings = Annotated[dict[str, Any], AfterValidator(_have_a_json_form), PlainSerializer(mask_settings)]


class Settings(BaseModel):
    """Base of all config models: frozen, and closed to unknown keys."""

    # The texts under the fields become the descriptions of the JSON schema, which editors show.
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True)
