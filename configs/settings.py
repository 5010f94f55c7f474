"""What all config models share: a closed, frozen base, the error that users see, and types of values."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PlainSerializer, model_validator
from pydantic_core import to_jsonable_python

from storage.credentials import mask_credentials, mask_settings

Degrees = Annotated[float, Field(ge=-360, le=360)]
Identifier = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]


class ConfigError(ValueError):
    """The config cannot be used; the message names each key and its fix, and shows no password."""

    def __init__(self, message: str) -> None:
        super().__init__(mask_credentials(message))


def _have_a_json_form(values: dict[str, Any]) -> dict[str, Any]:
    """What is kept in fingerprints and records must be writable as JSON, which knows no infinity and no bytes."""
    for key, value in values.items():
        try:
            json.dumps(to_jsonable_python(value), allow_nan=False, ensure_ascii=False).encode()
        except (ValueError, TypeError) as error:
            told = f"{key}: holds what JSON cannot say ({error})"
            raise ValueError(f"{told}; use text, finite numbers, lists and mappings") from error
    return values


def _written(value: Any) -> Any:
    """Values as they were written: a place in them is found by the program, and named by the config."""
    if isinstance(value, dict):
        return {key: _written(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_written(inner) for inner in value]
    return getattr(value, "written", value)


def _masked(values: dict[str, Any]) -> Any:
    return mask_settings(_written(values))


PlainSettings = Annotated[dict[str, Any], AfterValidator(_have_a_json_form), PlainSerializer(_masked)]


ADDED = "added after the stage's version was set: left out of its fingerprint while it has its default"
"""Marks a field (``Annotated[type, ADDED]``) whose default means what was done before there was the field."""
APART = "says only where, how or when something is done: never in a fingerprint"
"""Marks a field (``Annotated[type, APART]``) that cannot change what a stage makes."""

_NUMBERS = (int, float, int | None, float | None)


class Settings(BaseModel):
    """Base of all config models: frozen, and closed to unknown keys."""

    # The texts under the fields become the descriptions of the JSON schema, which editors show.
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True)

    @model_validator(mode="before")
    @classmethod
    def _no_is_not_zero(cls, values: Any) -> Any:
        """YAML reads ``no`` and ``off`` as false, which pydantic would take for the number 0."""
        for name, field in cls.model_fields.items() if isinstance(values, dict) else ():
            if isinstance(value := values.get(name), bool) and field.annotation in _NUMBERS:
                raise ValueError(f"{name}: is {str(value).lower()}, where a number is needed (YAML reads no, off, yes, on so)")
        return values

    def fingerprinted(self, exclude: Collection[str] = ()) -> dict[str, Any]:
        """JSON values of all that can change what a stage makes: defaults filled in, but for fields marked ADDED or APART."""
        values: dict[str, Any] = self.model_dump(mode="json", exclude=set(exclude))
        for name, field in type(self).model_fields.items():
            value = getattr(self, name)
            if name in values and isinstance(value, Settings):
                values[name] = value.fingerprinted()
            if APART in field.metadata or (ADDED in field.metadata and value == field.get_default(call_default_factory=True)):
                values.pop(name, None)
        return values
