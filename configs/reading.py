"""From YAML to a config: every problem is told at once, each with its key and the fix."""

from __future__ import annotations

import difflib
import reprlib
import shlex
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

from pydantic import BaseModel, ValidationError

from configs.plain_yaml import MOST_BYTES, parse_yaml
from configs.schema import Config
from configs.settings import ConfigError

AnyConfig = TypeVar("AnyConfig", bound=Config)


def load_config(path: str | Path, overrides: dict[str, Any] | None = None) -> Config:
    """Read a YAML file into a :class:`Config`; see :func:`load_config_as`."""
    return load_config_as(Config, path, overrides)


def load_config_as(model: type[AnyConfig], path: str | Path, overrides: dict[str, Any] | None = None) -> AnyConfig:
    """Read a YAML file into a config of that model.

    Parameters
    ----------
    model : Config, or a model derived from it
    path : str or Path
    overrides : dict, optional
        Dotted keys to values, laid over the file: ``{"source.url": "/data"}``.

    Raises
    ------
    ConfigError
        The file is missing, is not YAML, or does not fit the models; every problem is named with its key and the fix.
    """
    data = read_settings(path, overrides)
    if model is Config and "stores" in data:
        typed = f"panolabel train {shlex.quote(str(path))}"
        raise ConfigError(f"config {path}: has stores to learn from, so it is that of a training; use `{typed}`")
    if model is Config and is_adaptation(data):
        raise ConfigError(
            f"config {path}: has a model and no teachers, so it is that of an adaptation, which ends in a model, not in labels; "
            "doctor, plan, run, adapt, status, trace, failures, verify, gc and query take it"
        )
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise ConfigError(f"config {path}:\n{explain(error, data, model)}") from error


def is_adaptation(data: dict[str, Any]) -> bool:
    """Whether the values of a config are those of an adaptation (configs/adapt.py)."""
    return "model" in data and "stores" not in data and not data.get("teachers")


def validated(data: dict[str, Any], overrides: dict[str, Any], what: str) -> Config:
    """Values with overrides laid over them as a :class:`Config`; a ConfigError begins with ``what`` they are."""
    for key, value in overrides.items():
        _lay_over(data, key.split("."), value)
    try:
        return Config.model_validate(data)
    except ValidationError as error:
        raise ConfigError(f"{what}:\n{explain(error, data)}") from error


def read_settings(path: str | Path, overrides: dict[str, Any] | None = None) -> dict[str, Any]:
    """The mapping in a YAML file with overrides laid over it, not validated yet; ConfigError as :func:`load_config`."""
    try:
        with Path(path).open("rb") as file:
            raw = file.read(MOST_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ConfigError(f"config {path}: cannot be read ({reason}); give the path of a YAML file") from error
    try:
        data = parse_yaml(raw)
    except ValueError as error:
        raise ConfigError(f"config {path}: {error}") from error
    if not isinstance(data, dict):
        raise ConfigError(f"config {path}: must be a mapping of keys to values at the top level")
    for key, value in (overrides or {}).items():
        _lay_over(data, key.split("."), value)
    return data


def explain(error: ValidationError, data: Any, model: type[BaseModel] | None = None) -> str:
    """One indented line for each problem that validating ``data`` as a :class:`Config`, or as ``model``, found."""
    return "\n".join(f"  {_explain(problem, model or Config)}" for problem in error.errors())


def _lay_over(data: dict[str, Any], keys: list[str], value: Any) -> None:
    for key in keys[:-1]:
        nested = data.setdefault(key, {})
        if not isinstance(nested, dict):
            raise ConfigError(f"override {'.'.join(keys)}: {key} is not a mapping in the config")
        data = nested
    data[keys[-1]] = value


def _explain(problem: Any, model: type[BaseModel]) -> str:
    """One line for one pydantic problem: the dotted key, what is wrong, and what to write instead."""
    location = [str(part) for part in problem["loc"]]
    key = ".".join(location) or "config"
    if problem["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
        known = _known_keys(location[:-1], model)
        nearest = difflib.get_close_matches(location[-1], known, n=1)
        hint = f"did you mean {nearest[0]!r}?" if nearest else f"known keys here: {', '.join(sorted(known))}"
        return f"{key}: unknown key; {hint}"
    if problem["type"] == "missing":
        return f"{key}: is required; add it"
    if problem["type"] == "value_error":
        return f"{key}: {problem['ctx']['error']}" if location else str(problem["ctx"]["error"])
    return f"{key}: {problem['msg']} (got {_shown(problem['input'])})"


def _shown(value: Any) -> str:
    """A wrong value as a message may show it: short, and without a URL, which may hold a password."""
    text = value if isinstance(value, str) else reprlib.repr(value)
    return f"{type(value).__name__} with a URL" if "://" in text else reprlib.repr(value)


def _known_keys(location: list[str], model: type[BaseModel]) -> list[str]:
    """Names of the fields that may stand at a place in the config, found by walking the models."""
    models: list[type] = [model]
    for part in location:
        if part.isdigit():
            continue
        fields = [_fields(one) for one in models]
        inner = [_inner_models(known[part]) for known in fields if part in known]
        tagged = [one for one, known in zip(models, fields) if "kind" in known and part in str(known["kind"])]
        models = [one for group in inner for one in group] or tagged or models
    return sorted({name for one in models for name in _fields(one)})


def _fields(model: type) -> dict[str, Any]:
    """Names and types of the fields of a model or dataclass."""
    if issubclass(model, BaseModel):
        return {name: field.annotation for name, field in model.model_fields.items()}
    return get_type_hints(model)


def _inner_models(annotation: Any) -> list[type]:
    if isinstance(annotation, type) and (issubclass(annotation, BaseModel) or is_dataclass(annotation)):
        return [annotation]
    return [model for argument in getattr(annotation, "__args__", ()) for model in _inner_models(argument)]
