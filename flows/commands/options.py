"""Arguments and options that several commands share, and how they become a config."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flows.commands.completion import complete_config

if TYPE_CHECKING:
    from configs.pipeline import Config

ConfigFile = Annotated[
    Path, typer.Argument(help="YAML file of the pipeline.", show_default=False, autocompletion=complete_config)
]
SourceOption = Annotated[
    str | None, typer.Option(help="Folder, glob, bucket URL, or .csv/.parquet list; replaces that of the first source.")
]
RootOption = Annotated[str | None, typer.Option(help="Store for labels, receipts and reports; replaces root.")]
SetOption = Annotated[list[str] | None, typer.Option("--set", help="Replace a value: --set fuse.height=512. May be repeated.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]
RetryOption = Annotated[bool, typer.Option("--retry-quarantined", help="Try quarantined items again.")]


def load(path: Path, source: str | None, root: str | None, settings: list[str] | None) -> Config:
    """The config of a YAML file with the command line's replacements laid over it."""
    from flows.asked import asked_config

    return asked_config(path, source, root, overrides(settings), settings or ())


def overrides(settings: list[str] | None) -> dict[str, Any]:
    """The command line's replacements as dotted keys to values."""
    from configs.plain_yaml import parse_yaml
    from configs.settings import ConfigError

    found: dict[str, Any] = {}
    for setting in settings or []:
        key, separator, value = setting.partition("=")
        if not separator:
            raise ConfigError(f"--set {setting}: must have the form key=value")
        try:
            found[key] = parse_yaml(value.encode())
        except ValueError as error:
            raise ConfigError(f"--set {setting}: {error}") from error
    return found


def print_json(value: Any) -> None:
    """JSON for other programs."""
    print(json.dumps(value, indent=1, ensure_ascii=False))
