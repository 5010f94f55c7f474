"""What somebody asks for: a pipeline's file, what they lay over it, and the part of it that they want."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from configs.pipeline import Config
from configs.settings import ConfigError
from configs.trial import Trial
from flows.invocation import remember, remember_trial
from tasks.pipeline import first_source, load


def asked_config(
    path: str | Path,
    source: str | None = None,
    root: str | None = None,
    values: Mapping[str, Any] | None = None,
    typed: Sequence[str] | None = None,
) -> Config:
    """The config of a YAML file with replacements laid over it, which commands that are printed from now on name too.

    Parameters
    ----------
    path : str or Path
    source : str, optional
        Replaces the URL of the first source.
    root : str, optional
        Replaces the store.
    values : mapping, optional
        Dotted keys to values, laid over the file.
    typed : list of str, optional
        The values as ``--set`` takes them, where they were given so.

    Raises
    ------
    ConfigError
        The file or a value cannot be used; every problem is named with its key and the fix.
    """
    values = values or {}
    told = [f"{key}={json.dumps(value)}" for key, value in values.items()] if typed is None else typed
    remember(path, source, root, told)
    replaced = {**({} if root is None else {"root": root}), **values}
    if source is not None:
        key = first_source(path)
        # Truth belongs to the config's own source, not to the one that replaces it.
        replaced = {f"{key}.source.url": source, f"{key}.source.truth": None, **replaced}
    return load(path, replaced)


def asked_trial(**choices: Any) -> Trial:
    """The trial of these choices, without those that are None or empty; commands that are printed from now on have it too."""
    given = {name: value for name, value in choices.items() if value is not None and value != []}
    try:
        trial = Trial.model_validate(given)
    except ValidationError as error:
        told = error.errors()[0]
        name = "".join(f"--{part} {given[str(part)]}: " for part in told["loc"][:1])
        raise ConfigError(name + told["msg"].removeprefix("Value error, ")) from error
    remember_trial(trial)
    return trial
