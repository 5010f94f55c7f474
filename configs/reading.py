"""From YAML to a config: every problem is told at once, each with its key and the fix."""

from __future__ import annotations

import difflib
import reprlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any, get_type_hints

from pydantic import BaseModel, ValidationError

from configs.pipeline import Config
from configs.places import is_relative, path_from, seen_from
from configs.plain_yaml import MOST_BYTES, parse_yaml
from configs.settings import ConfigError


def laid_over(path: str | Path, values: Mapping[str, Any], overrides: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The values of a pipeline's file, as :func:`read_settings` read them, with those of the command line, and the file's folder.

    Parameters
    ----------
    path : str or Path
    values : mapping
    overrides : mapping, optional
        Dotted keys to values, laid over the file: ``{"fuse.height": 512}`` of a stage, ``{"execution.device": "cpu"}``.

    Raises
    ------
    ConfigError
        There is no such stage, or a store would lie beside the installed package.
    """
    if "folder" in values:
        raise ConfigError(f"config {path}: folder: unknown key; relative paths start where the file lies")
    data = {**values, "folder": folder_of(path)}
    lay_over(data, {dotted: _from_here(data["folder"], dotted, value) for dotted, value in (overrides or {}).items()})
    _refuse_installed(path, data, "root" in (overrides or {}))
    return data


def folder_of(path: str | Path) -> str:
    """The folder of a file as the working directory sees it; absolute if it lies elsewhere, empty if it is that itself."""
    folder, here = Path(path).resolve().parent, Path.cwd()
    inside = folder.relative_to(here).as_posix() if folder.is_relative_to(here) else str(folder)
    return "" if inside == "." else inside


def _refuse_installed(path: str | Path, data: Mapping[str, Any], given: bool) -> None:
    """A ready-made config beside this module, where that is installed, must not put its store among the packages."""
    package = Path(__file__).resolve().parent
    root = data.get("root")
    installed = Path(path).resolve().is_relative_to(package) and not (package.parent / "pyproject.toml").exists()
    if installed and isinstance(root, str) and is_relative(root) and not given:
        raise ConfigError(
            f"config {path}: belongs to the installed package, beside which no store may lie; say where: --root FOLDER"
        )


def framed(data: dict[str, Any], what: str) -> Config:
    """Values as the frame of a pipeline; a ConfigError begins with ``what`` they are."""
    try:
        return Config.model_validate(data)
    except ValidationError as error:
        raise ConfigError(f"{what}:\n{explain(error, keys=_keys(data.get('stages', ())))}") from error


def lay_over(data: dict[str, Any], overrides: Mapping[str, Any]) -> None:
    """Lay values over those of a file: the first part of a dotted key is the key of a stage, or one of the frame's own."""
    for dotted, value in overrides.items():
        first, *rest = dotted.split(".")
        if first in FRAME:
            _lay_over(data, [first, *rest], value)
            continue
        stages = as_mapping(data.get("stages"))
        if first not in stages:
            known = [*stages, *FRAME]
            nearest = difflib.get_close_matches(first, known, n=1)
            hint = f"did you mean {nearest[0]!r}?" if nearest else f"stages are {', '.join(stages) or 'none'}"
            raise ConfigError(f"override {dotted}: there is no stage {first!r}; {hint}")
        if not rest and value is None:
            raise ConfigError(f"override {dotted}: would drop all settings of the stage; name one of them: {dotted}.NAME=VALUE")
        data["stages"] = stages
        stages[first] = {} if stages[first] is None else stages[first]
        _lay_over(stages, [first, *rest], value)


FRAME = tuple(name for name in Config.model_fields if name != "folder")
"""Keys that a file may have at its top; its folder is where it lies."""
PLACES = ("root", "url", "truth", "allow", "config", "folder")
"""Last parts of the dotted keys whose values are places."""
NAMES = ("model", "pretrained")
"""The same of values that are places where there is such a file or folder, and else the names of models."""


def _from_here(folder: str, dotted: str, value: Any) -> Any:
    """A value of the command line, where it names a place as the file would have to name it."""
    if isinstance(value, Mapping):
        return {key: _from_here(folder, f"{dotted}.{key}", inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_from_here(folder, dotted, inner) for inner in value]
    if not isinstance(value, str):
        return value
    last = dotted.rpartition(".")[2]
    if last in PLACES:
        return seen_from(folder, value)
    is_path = value.startswith(("./", "../")) or (last in NAMES and Path(value).exists())
    return path_from(folder, value) if is_path else value


def as_mapping(stages: Any) -> dict[str, Any]:
    """Stages by key, in their order, from either form in which a file may have them; what has neither is left to validation.

    ConfigError if a key stands twice in a list.
    """
    if isinstance(stages, Mapping):
        return dict(stages)
    if not isinstance(stages, list) or not all(isinstance(one, Mapping) for one in stages):
        return {}
    found: dict[str, Any] = {}
    for key, values in (pair for one in stages for pair in one.items()):
        if key in found:
            raise ConfigError(f"stages.{key}: stands twice; give each stage a key of its own, and write `stage: KIND` in it")
        found[key] = values
    return found


def read_settings(path: str | Path) -> dict[str, Any]:
    """The mapping in a YAML file, not validated yet. ConfigError if the file is missing, or is no YAML of a mapping."""
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
    return data


def explain(
    error: ValidationError,
    model: type[BaseModel] = Config,
    below: str = "",
    also: Iterable[str] = (),
    keys: Sequence[str] = (),
    called: Mapping[str, str] | None = None,
) -> str:
    """One indented line for each problem that validating values as a ``model`` found.

    ``below`` is where in the file the values stand, with a dot at its end: ``stages.fuse.``; ``also`` are keys that may stand
    there though the model does not have them, and ``keys`` those of the stages, which a list of them has by number. ``called``
    maps dotted keys of the model to those of the file, where these differ.
    """
    told = {tuple(key.split(".")): tuple(other.split(".")) for key, other in (called or {}).items()}
    problems = [{**one, "loc": told.get(tuple(map(str, one["loc"])), one["loc"])} for one in error.errors()]
    return "\n".join(f"  {below}{_explain(problem, model, also, keys)}" for problem in problems)


def _lay_over(data: dict[str, Any], keys: list[str], value: Any) -> None:
    for key in keys[:-1]:
        nested = data.setdefault(key, {})
        if not isinstance(nested, dict):
            raise ConfigError(f"override {'.'.join(keys)}: {key} is not a mapping in the config")
        data = nested
    data[keys[-1]] = value


def _explain(problem: Any, model: type[BaseModel], also: Iterable[str], keys: Sequence[str]) -> str:
    """One line for one pydantic problem: the dotted key, what is wrong, and what to write instead."""
    location = [str(part) for part in problem["loc"]]
    if model is Config and len(location) > 2 and location[0] == "stages":
        location = ["stages", keys[int(location[1])], *location[3:]]
    key = ".".join(location) or "config"
    if problem["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
        known = [*_known_keys(location[:-1], model), *(also if len(location) == 1 else ())]
        nearest = difflib.get_close_matches(location[-1], known, n=1)
        hint = f"did you mean {nearest[0]!r}?" if nearest else f"known keys here: {', '.join(sorted(known))}"
        return f"{key}: unknown key; {hint}"
    if problem["type"] == "missing":
        return f"{key}: is required; add it"
    if problem["type"] == "value_error":
        return f"{key}: {problem['ctx']['error']}" if location else str(problem["ctx"]["error"])
    return f"{key}: {problem['msg']} (got {_shown(problem['input'])})"


def _keys(stages: Any) -> list[str]:
    entries = stages if isinstance(stages, list) else [stages]
    return [str(key) for one in entries if isinstance(one, Mapping) for key in one]


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
    """Names and types of the fields of a model or dataclass that a file may say."""
    if issubclass(model, Config):
        return {name: Config.model_fields[name].annotation for name in FRAME}
    if issubclass(model, BaseModel):
        return {name: field.annotation for name, field in model.model_fields.items()}
    return get_type_hints(model)


def _inner_models(annotation: Any) -> list[type]:
    if isinstance(annotation, type) and (issubclass(annotation, BaseModel) or is_dataclass(annotation)):
        return [annotation]
    return [model for argument in getattr(annotation, "__args__", ()) for model in _inner_models(argument)]
